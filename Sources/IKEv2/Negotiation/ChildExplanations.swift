import IKEv2Messages

/// Reasons why there is no agreement on a CHILD_SA, in words for the operator of this side.
struct ChildExplanations {
    /// The name of the connection.
    let connection: String

    /// Children that are spelt out; a log record has to end somewhere.
    private static let childrenShown = 4

    func selectorRefusal(_ child: Child) -> Explanation {
        let line = "connections.\(connection).children.\(child.name)"
        func text(_ sides: [SelectorSide]) -> String { sides.map(\.description).joined(separator: ", ") }
        return Explanation(
            "traffic selectors unacceptable: the peer has nothing in common with what child \(child.name) offers",
            details: [
                "offered local_ts = \(text(child.localSelectors))",
                "offered remote_ts = \(text(child.remoteSelectors))",
            ], remedy: "let \(line).local_ts overlap the peer's remote_ts, and \(line).remote_ts its local_ts")
    }

    func proposals(
        _ offer: SecurityAssociationPayload, _ children: [Child], withKeyExchange: Bool
    ) -> Explanation {
        let tunnels = children.filter { $0.mode != .transport }
        guard let child = tunnels.first else {
            let names = children.map(\.name).joined(separator: ", ")
            return Explanation(
                "no proposal chosen: transport mode is not served", details: ["children: \(names)"],
                remedy: "set mode = tunnel")
        }
        func explain(_ child: Child) -> Explanation {
            ChildNegotiation.explain(
                offered: offer, configured: child.proposals, withKeyExchange: withKeyExchange,
                connection: connection, child: child.name)
        }
        var explanation = explain(child)
        // Others that the selectors fit, if they are not the same once more.
        var known = [child.proposals]
        for other in tunnels.dropFirst() where !known.contains(other.proposals) {
            if known.count == Self.childrenShown {
                explanation.details.append("and more children with other proposals")
                break
            }
            known.append(other.proposals)
            explanation.details += explain(other).details.map { "child \(other.name): \($0)" }
        }
        return explanation
    }

    func selectors(
        _ initiator: TrafficSelectorPayload, _ responder: TrafficSelectorPayload, _ children: [Child]
    ) -> Explanation {
        guard let child = children.first else {
            return Explanation(
                "traffic selectors unacceptable: connection \(connection) has no children",
                remedy: "add a section to connections.\(connection).children")
        }
        var explanation = SelectorNegotiation.explain(
            localOffered: responder, remoteOffered: initiator, child: child, connection: connection)
        if children.count > Self.childrenShown {
            explanation.details.append("and \(children.count - Self.childrenShown) more children")
        }
        for other in children.prefix(Self.childrenShown).dropFirst() {
            explanation.details +=
                SelectorNegotiation.explain(
                    localOffered: responder, remoteOffered: initiator, child: other, connection: connection
                ).details
        }
        return explanation
    }
}
