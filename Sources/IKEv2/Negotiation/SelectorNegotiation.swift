import IKEv2Messages
import IPsec
import Packets

/// The TSi and TSr payloads (RFC 7296 sections 2.9 and 3.13). `dynamic` is the address of the IKE endpoint of the side
/// that a payload is about.
package enum SelectorNegotiation {
    /// The initiator's payload for one side. `hint`: that side of the packet that wants the SA, which goes first
    /// (section 2.9), when it is one of those that the side covers.
    package static func offer(
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
    package static func narrow(
        _ offered: TrafficSelectorPayload, to sides: [SelectorSide], dynamic: IPAddress
    ) -> [SelectorSide] {
        let ours = sides.map { $0.resolved(dynamic) }
        return Array(SelectorSide.withoutCovered(common(offered.ranges, ours)).prefix(maximumSides))
    }

    /// The common parts of pairs of selectors, each once. There can be 255 times as many as we have: what no payload
    /// could hold is not looked for, since each is then compared with every other.
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
    package static func check(
        _ answer: TrafficSelectorPayload, within sides: [SelectorSide], dynamic: IPAddress
    ) -> [SelectorSide]? {
        let ours = sides.map { $0.resolved(dynamic) }
        let theirs = answer.ranges
        guard !theirs.isEmpty, theirs.count == answer.selectors.count,
            theirs.allSatisfy({ selector in ours.contains { $0.contains(selector) } })
        else { return nil }
        return SelectorSide.withoutCovered(theirs)
    }

    /// The most sides that a payload can have.
    private static let maximumSides = 255
    /// Pairs of one CHILD_SA. Each is a policy, and a peer that names 255 selectors of either side has 65,025 of them.
    static let maximumPairs = 4096
    /// Pairs of all CHILD_SAs of one IKE SA: what a peer that may narrow can make every policy lookup cost has an end.
    static let maximumPairsOfSession = 2 * maximumPairs

    /// Sides that hold no `dynamic`; at most 255.
    package static func payload(_ sides: [SelectorSide]) -> TrafficSelectorPayload {
        TrafficSelectorPayload(sides.compactMap(\.selector).prefix(maximumSides).map { .range($0) })
    }

    /// Every pair of our side (source) and the peer's (destination) that a packet can have: one family, one protocol.
    /// ICMP has one type and code for both sides. Opaque ports make no selector: a packet without visible ports matches
    /// those that are for all ports.
    package static func pairs(local: [SelectorSide], remote: [SelectorSide]) -> [TrafficSelector] {
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
    package static func explain(
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

extension SelectorSide {
    /// Nil for a selector that matches nothing.
    init?(_ selector: AddressRangeSelector) {
        guard !selector.isEmpty, let range = AddressRange(first: selector.firstAddress, last: selector.lastAddress)
        else { return nil }
        self.init(
            addresses: range, protocolNumber: selector.protocolNumber == 0 ? nil : selector.protocolNumber,
            ports: selector.isOpaque ? TrafficSelector.anyPort : selector.firstPort...selector.lastPort)
        hasOpaquePorts = selector.isOpaque
    }

    /// The selector as it is sent; nil while the addresses are `dynamic`.
    var selector: AddressRangeSelector? {
        addresses.flatMap { range in
            AddressRangeSelector(
                protocolNumber: protocolNumber ?? 0, firstPort: hasOpaquePorts ? .max : ports.lowerBound,
                lastPort: hasOpaquePorts ? 0 : ports.upperBound, firstAddress: range.first, lastAddress: range.last)
        }
    }

    /// `dynamic` is the address.
    func resolved(_ dynamic: IPAddress) -> SelectorSide {
        var side = self
        if addresses == nil { side.addresses = AddressRange(dynamic) }
        return side
    }

    private var coversAllPorts: Bool { !hasOpaquePorts && ports == TrafficSelector.anyPort }

    /// The common part of both; nil for nothing. All ports include opaque ones (RFC 4301 section 4.4.1.1).
    func intersection(_ other: SelectorSide) -> SelectorSide? {
        guard let mine = addresses, let theirs = other.addresses, mine.family == theirs.family,
            let common = AddressRange(first: max(mine.first, theirs.first), last: min(mine.last, theirs.last)),
            protocolNumber == nil || other.protocolNumber == nil || protocolNumber == other.protocolNumber
        else { return nil }
        var result = SelectorSide(addresses: common, protocolNumber: protocolNumber ?? other.protocolNumber)
        switch (hasOpaquePorts, other.hasOpaquePorts) {
        case (true, true): result.hasOpaquePorts = true
        case (true, false):
            guard other.coversAllPorts else { return nil }
            result.hasOpaquePorts = true
        case (false, true):
            guard coversAllPorts else { return nil }
            result.hasOpaquePorts = true
        case (false, false):
            guard ports.overlaps(other.ports) else { return nil }
            result.ports = ports.clamped(to: other.ports)
        }
        return result
    }

    /// Whether every packet of `other` is one of these.
    func contains(_ other: SelectorSide) -> Bool { intersection(other) == other }

    /// Whether each of `others` is part of one of `sides`.
    static func cover(_ sides: [SelectorSide], _ others: [SelectorSide]) -> Bool {
        others.allSatisfy { other in sides.contains { $0.contains(other) } }
    }

    /// "10.1.0.0/16 === 10.2.0.0/24, 10.3.0.0/24", not more of it than is good to read.
    static func text(_ local: [SelectorSide], _ remote: [SelectorSide]) -> String {
        [local, remote].map { sides in
            sides.prefix(8).map(\.description).joined(separator: ", ") + (sides.count > 8 ? ", …" : "")
        }.joined(separator: " === ")
    }

    /// The sides without those that another one covers; the order stays.
    static func withoutCovered(_ sides: [SelectorSide]) -> [SelectorSide] {
        var kept: [SelectorSide] = []
        for (index, side) in sides.enumerated() where !kept.contains(side) {
            let covered = sides.enumerated().contains {
                $0.offset != index && $0.element != side && $0.element.contains(side)
            }
            if !covered { kept.append(side) }
        }
        return kept
    }
}

extension SelectorSide: CustomStringConvertible {
    /// "10.1.0.0/16[6/443]", as swanctl.conf has it; "dynamic".
    package var description: String {
        let place = addresses.map { $0.first == $0.last ? "\($0.first)" : "\($0)" } ?? "dynamic"
        let portText: String? =
            if hasOpaquePorts { "opaque" } else if ports == TrafficSelector.anyPort { nil } else {
                ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
            }
        if protocolNumber == nil, portText == nil { return place }
        let number = protocolNumber.map(String.init) ?? ""
        return "\(place)[\(number)\(portText.map { "/\($0)" } ?? "")]"
    }
}
