import IKEv2Messages

// Why there is no agreement on a CHILD_SA, in words for the operator of this side.

extension Session {
    func selectorRefusal(_ child: Child) -> Explanation {
        let line = "connections.\(connection?.name ?? "").children.\(child.name)"
        func text(_ sides: [SelectorSide]) -> String { sides.map(\.description).joined(separator: ", ") }
        return Explanation(
            "traffic selectors unacceptable: the peer has nothing in common with what child \(child.name) offers",
            details: [
                "offered local_ts = \(text(child.localSelectors))",
                "offered remote_ts = \(text(child.remoteSelectors))",
            ], remedy: "let \(line).local_ts overlap the peer's remote_ts, and \(line).remote_ts its local_ts")
    }

    func proposalExplanation(
        _ offer: SecurityAssociationPayload, _ children: [Child], withKeyExchange: Bool
    ) -> Explanation {
        guard let child = children.first(where: { $0.mode != .transport }) else {
            let names = children.map(\.name).joined(separator: ", ")
            return Explanation(
                "no proposal chosen: transport mode is not served", details: ["children: \(names)"],
                remedy: "set mode = tunnel")
        }
        return ChildNegotiation.explain(
            offered: offer, configured: child.proposals, withKeyExchange: withKeyExchange,
            connection: connection?.name ?? "", child: child.name)
    }

    func selectorExplanation(
        _ initiator: TrafficSelectorPayload, _ responder: TrafficSelectorPayload, _ children: [Child]
    ) -> Explanation {
        guard let child = children.first else {
            return Explanation(
                "traffic selectors unacceptable: connection \(connection?.name ?? "") has no children",
                remedy: "add a section to connections.\(connection?.name ?? "").children")
        }
        var explanation = SelectorNegotiation.explain(
            localOffered: responder, remoteOffered: initiator, child: child, connection: connection?.name ?? "")
        for other in children.dropFirst() {
            explanation.details +=
                SelectorNegotiation.explain(
                    localOffered: responder, remoteOffered: initiator, child: other, connection: connection?.name ?? ""
                ).details
        }
        return explanation
    }
}
