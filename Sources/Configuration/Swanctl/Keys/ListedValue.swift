import IKEv2
import IPsec

/// A value of a configuration as reports show it: `sluice check`, its JSON document, and listings of connections.
package enum ListedValue: Hashable, Sendable {
    case text(String)
    case number(UInt64)
    case flag(Bool)
    case list([String])
    case object([Member])
    case objects([[Member]])

    /// A value with its name.
    package struct Member: Hashable, Sendable {
        package var name: String
        package var value: ListedValue

        package init(_ name: String, _ value: ListedValue) {
            self.name = name
            self.value = value
        }
    }

    /// The value as swanctl.conf would have it.
    package var description: String {
        switch self {
        case .text(let text): text
        case .number(let number): "\(number)"
        case .flag(let flag): flag ? "yes" : "no"
        case .list(let items): items.joined(separator: ", ")
        case .object(let members): members.map { "\($0.name) \($0.value.description)" }.joined(separator: ", ")
        case .objects(let objects): objects.map { ListedValue.object($0).description }.joined(separator: "; ")
        }
    }
}

extension [ListedValue.Member] {
    /// Appends a value; `time.rekey` is the member `rekey` of the member `time`.
    mutating func add(_ path: String, _ value: ListedValue) {
        guard let dot = path.firstIndex(of: ".") else { return append(.init(path, value)) }
        let (name, rest) = (String(path[..<dot]), String(path[path.index(after: dot)...]))
        var inner: [ListedValue.Member] = []
        let place = firstIndex { $0.name == name }
        if let place, case .object(let members) = self[place].value { inner = members }
        inner.add(rest, value)
        if let place { self[place].value = .object(inner) } else { append(.init(name, .object(inner))) }
    }
}

extension ListedValue: Encodable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .text(let text): try Self.encode(text, to: encoder)
        case .number(let number): try Self.encode(number, to: encoder)
        case .flag(let flag): try Self.encode(flag, to: encoder)
        case .list(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        case .objects(let objects):
            var container = encoder.unkeyedContainer()
            for members in objects { try container.encode(ListedValue.object(members)) }
        case .object(let members):
            var container = encoder.container(keyedBy: Name.self)
            for member in members { try container.encode(member.value, forKey: Name(stringValue: member.name)) }
        }
    }

    private static func encode(_ value: some Encodable, to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// Traffic selectors as listings show them: "10.1.0.0/16", "dynamic[tcp/80]", "10.2.0.0/16[udp/1000-2000]".
package enum ListedSelector {
    package static func text(_ side: SelectorSide) -> String {
        let addresses = side.addresses.map(text) ?? "dynamic"
        guard let what = restriction(side) else { return addresses }
        return "\(addresses)[\(what)]"
    }

    package static func list(_ sides: [SelectorSide]) -> [String] { sides.map(text) }

    package static func joined(_ sides: [SelectorSide]) -> String { list(sides).joined(separator: " ") }

    private static func text(_ range: AddressRange) -> String {
        range.prefix.map(\.description) ?? "\(range.first)..\(range.last)"
    }

    /// The restriction to a protocol and ports; nil: every one.
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
