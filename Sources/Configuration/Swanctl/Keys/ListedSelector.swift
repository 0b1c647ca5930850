import IKEv2
import IPsec

/// Traffic selectors as listings show them: "10.1.0.0/16", "dynamic[tcp/80]", "10.2.0.0/16[udp/1000-2000]".
public enum ListedSelector {
    public static func text(_ side: SelectorSide) -> String {
        let addresses = side.addresses.map(text) ?? "dynamic"
        guard let what = restriction(side) else { return addresses }
        return "\(addresses)[\(what)]"
    }

    public static func list(_ sides: [SelectorSide]) -> [String] { sides.map(text) }

    public static func joined(_ sides: [SelectorSide]) -> String { list(sides).joined(separator: " ") }

    private static func text(_ range: AddressRange) -> String {
        range.prefix.map(\.description) ?? "\(range.first)..\(range.last)"
    }

    /// nil: every protocol and port.
    private static func restriction(_ side: SelectorSide) -> String? {
        let anyPort = side.ports == TrafficSelector.anyPort
        if side.protocolNumber == nil, anyPort, !side.hasOpaquePorts { return nil }
        let name =
            switch side.protocolNumber {
            case nil: "any"
            case 1: "icmp"
            case 6: "tcp"
            case 17: "udp"
            case 58: "ipv6-icmp"
            case 132: "sctp"
            case .some(let number): "\(number)"
            }
        if side.hasOpaquePorts { return "\(name)/opaque" }
        if anyPort { return name }
        let (first, last) = (side.ports.lowerBound, side.ports.upperBound)
        return first == last ? "\(name)/\(first)" : "\(name)/\(first)-\(last)"
    }
}
