import IKEv2Messages
import IPsec
import Packets

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

    /// As it is sent; nil while the addresses are `dynamic`.
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

    /// What both have; nil for nothing. All ports include opaque ones (RFC 4301 section 4.4.1.1).
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

    /// Without those that another one covers; the order stays.
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
    public var description: String {
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
