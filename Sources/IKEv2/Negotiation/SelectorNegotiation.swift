import IKEv2Messages
import IPsec
import Packets

/// The TSi and TSr payloads (RFC 7296 sections 2.9 and 3.13). `dynamic` is the address of the IKE endpoint of the side
/// that a payload is about.
public enum SelectorNegotiation {
    /// The initiator's payload for one side. `hint`: that side of the packet that wants the SA, which goes first
    /// (section 2.9), when it is one of those that the side covers.
    public static func offer(
        _ sides: [SelectorSide], dynamic: IPAddress, hint: AddressRangeSelector? = nil
    ) -> TrafficSelectorPayload {
        let resolved = sides.map { $0.resolved(dynamic) }
        let covered = hint.flatMap(SelectorSide.init).flatMap { hint in
            resolved.contains { $0.contains(hint) } ? hint : nil
        }
        let first = covered.map { [$0] } ?? []
        return payload(first + resolved.filter { $0 != covered })
    }

    /// The responder's: everything of `offered` that `sides` has too, in the order of the offer. None:
    /// TS_UNACCEPTABLE. Selectors of unknown types, and such as match nothing, are passed over.
    public static func narrow(
        _ offered: TrafficSelectorPayload, to sides: [SelectorSide], dynamic: IPAddress
    ) -> [SelectorSide] {
        let ours = sides.map { $0.resolved(dynamic) }
        return Array(SelectorSide.withoutCovered(common(offered.ranges, ours)).prefix(maximumSides))
    }

    /// What pairs of selectors have in common, each once. There can be 255 times as many as we have: what no payload could
    /// hold is not looked for, since each is then compared with every other.
    private static func common(_ theirs: [SelectorSide], _ ours: [SelectorSide]) -> [SelectorSide] {
        var common: [SelectorSide] = []
        var known: Set<SelectorSide> = []
        for their in theirs {
            for our in ours {
                guard let both = their.intersection(our), known.insert(both).inserted else { continue }
                common.append(both)
                if common.count >= 2 * maximumSides { return common }
            }
        }
        return common
    }

    /// The initiator's look at the responder's payload: nil when it covers nothing, or more than was offered.
    public static func check(
        _ answer: TrafficSelectorPayload, within sides: [SelectorSide], dynamic: IPAddress
    ) -> [SelectorSide]? {
        let ours = sides.map { $0.resolved(dynamic) }
        let theirs = answer.ranges
        guard !theirs.isEmpty, theirs.count == answer.selectors.count,
            theirs.allSatisfy({ selector in ours.contains { $0.contains(selector) } })
        else { return nil }
        return SelectorSide.withoutCovered(theirs)
    }

    /// As many as a payload can have.
    private static let maximumSides = 255
    /// Pairs of one CHILD_SA. Each is a policy, and a peer that names 255 selectors of either side has 65,025 of them.
    static let maximumPairs = 4096
    /// Pairs of all CHILD_SAs of one IKE SA: what a peer that may narrow can make every policy lookup cost has an end.
    static let maximumPairsOfSession = 2 * maximumPairs

    /// Sides that hold no `dynamic`; at most 255.
    public static func payload(_ sides: [SelectorSide]) -> TrafficSelectorPayload {
        TrafficSelectorPayload(sides.compactMap(\.selector).prefix(maximumSides).map { .range($0) })
    }

    /// Every pair of our side (source) and the peer's (destination) that a packet can have: one family, one protocol.
    /// ICMP has one type and code for both sides. Opaque ports make no selector: a packet without visible ports matches
    /// those that are for all ports.
    public static func pairs(local: [SelectorSide], remote: [SelectorSide]) -> [TrafficSelector] {
        var pairs: [TrafficSelector] = []
        var known: Set<TrafficSelector> = []
        for source in local {
            for destination in remote {
                if let pair = pair(source, destination), known.insert(pair).inserted { pairs.append(pair) }
            }
        }
        return pairs
    }

    private static func pair(_ source: SelectorSide, _ destination: SelectorSide) -> TrafficSelector? {
        guard let from = source.addresses, let to = destination.addresses, from.family == to.family,
            !source.hasOpaquePorts, !destination.hasOpaquePorts,
            source.protocolNumber == nil || destination.protocolNumber == nil
                || source.protocolNumber == destination.protocolNumber
        else { return nil }
        let number = source.protocolNumber ?? destination.protocolNumber
        guard number == IPProtocol.icmp || number == IPProtocol.icmpv6 else {
            return TrafficSelector(
                source: from, destination: to, protocol: number, sourcePorts: source.ports,
                destinationPorts: destination.ports)
        }
        guard source.ports.overlaps(destination.ports) else { return nil }
        return TrafficSelector(
            source: from, destination: to, protocol: number,
            sourcePorts: source.ports.clamped(to: destination.ports))
    }

    /// Why nothing was left. `connection` and `child` as in swanctl.conf.
    public static func explain(
        localOffered: TrafficSelectorPayload?, remoteOffered: TrafficSelectorPayload?, child: Child, connection: String
    ) -> Explanation {
        let line = "connections.\(connection).children.\(child.name)"
        func text(_ payload: TrafficSelectorPayload?) -> String {
            payload.map { $0.ranges.map(\.description).joined(separator: ", ") } ?? "not said"
        }
        func text(_ sides: [SelectorSide]) -> String { sides.map(\.description).joined(separator: ", ") }
        return Explanation(
            "traffic selectors unacceptable: the peer's and ours have nothing in common",
            details: [
                "our side: the peer wants \(text(localOffered)), here local_ts = \(text(child.localSelectors))",
                "its side: the peer wants \(text(remoteOffered)), here remote_ts = \(text(child.remoteSelectors))",
            ],
            remedy: "let \(line).local_ts cover what is the peer's remote_ts, and \(line).remote_ts its local_ts")
    }
}

extension TrafficSelectorPayload {
    /// The selectors that are known and match something.
    var ranges: [SelectorSide] {
        selectors.compactMap { selector in
            if case .range(let range) = selector { SelectorSide(range) } else { nil }
        }
    }
}
