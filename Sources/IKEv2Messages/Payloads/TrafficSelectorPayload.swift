import Packets

/// TSi and TSr: what one end of a CHILD_SA covers; a packet matches when one selector of each matches (RFC 7296
/// section 3.13).
///
///     | Number of TSs |                 RESERVED                      |
///     ~                       <Traffic Selectors>                     ~
package struct TrafficSelectorPayload: Hashable, Sendable {
    package var selectors: [Selector]

    package init(_ selectors: [Selector]) { self.selectors = selectors }

    package enum Selector: Hashable, Sendable {
        case range(AddressRangeSelector)
        /// A selector type that is unknown here: it can never be chosen, the others stand (RFC 7296 section 2.9).
        case unknown(type: TrafficSelectorType, data: [UInt8])
    }
}

/// IKEv2 Traffic Selector Types (RFC 7296 section 3.13.1; 4595, 9478).
package struct TrafficSelectorType: Codepoint {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let ipv4Range = Self(rawValue: 7)
    package static let ipv6Range = Self(rawValue: 8)
    package static let fibreChannelRange = Self(rawValue: 9)
    package static let securityLabel = Self(rawValue: 10)

    package static let label = "traffic selector type"
    package static let names: [Self: String] = [
        .ipv4Range: "TS_IPV4_ADDR_RANGE", .ipv6Range: "TS_IPV6_ADDR_RANGE",
        .fibreChannelRange: "TS_FC_ADDR_RANGE", .securityLabel: "TS_SECLABEL",
    ]
}

extension TrafficSelectorPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let count = Int(try reader.uint8())
        if count == 0 { throw reader.failure(field: "number of selectors", 0, size: 1) }
        try reader.skip(3)
        selectors = []
        for _ in 0..<count { selectors.append(try Selector(from: &reader)) }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        if selectors.isEmpty { throw EncodingFailure(field: "number of selectors", value: 0, limit: 255) }
        try writer.append(count: selectors.count, of: "number of selectors")
        writer.append(zeros: 3)
        for selector in selectors { try selector.encode(into: &writer) }
    }
}

extension TrafficSelectorPayload.Selector {
    /// The second byte belongs to the type, the length follows.
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let type = TrafficSelectorType(rawValue: try reader.uint8())
        let second = try reader.uint8()
        let length = Int(try reader.uint16())
        var part = try reader.rest(of: length, lengthRead: 4, field: "selector length")
        switch type {
        case .ipv4Range: self = .range(try AddressRangeSelector(from: &part, family: .ipv4, protocolNumber: second))
        case .ipv6Range: self = .range(try AddressRangeSelector(from: &part, family: .ipv6, protocolNumber: second))
        default: self = .unknown(type: type, data: [second] + part.takeAll())
        }
        try part.requireEnd()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        let start = writer.count
        switch self {
        case .range(let selector):
            writer.append(selector.type.rawValue)
            writer.append(selector.protocolNumber)
            writer.append(zeros: 2)
            selector.encodeRange(into: &writer)
        case .unknown(let type, let data):
            writer.append(type.rawValue)
            writer.append(data.first ?? 0)
            writer.append(zeros: 2)
            writer.append(Array(data.dropFirst()))
        }
        try writer.patchLength(since: start, at: start + 2, of: "selector length")
    }
}

/// TS_IPV4_ADDR_RANGE and TS_IPV6_ADDR_RANGE (RFC 7296 section 3.13.1).
///
///     |   TS Type     |IP Protocol ID |       Selector Length         |
///     |           Start Port          |           End Port            |
///     ~                         Starting Address                      ~
///     ~                         Ending Address                        ~
package struct AddressRangeSelector: Hashable, Sendable {
    /// 0: any protocol.
    package var protocolNumber: UInt8
    /// ICMP: type in the upper, code in the lower byte. 0 to 65535 is any, 65535 to 0 is OPAQUE: no port to be had.
    package var firstPort: UInt16
    package var lastPort: UInt16
    /// Both of one family.
    package let firstAddress: IPAddress
    package let lastAddress: IPAddress

    /// Nil when the addresses are of different families.
    package init?(
        protocolNumber: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = .max, firstAddress: IPAddress,
        lastAddress: IPAddress
    ) {
        guard firstAddress.family == lastAddress.family else { return nil }
        self.protocolNumber = protocolNumber
        self.firstPort = firstPort
        self.lastPort = lastPort
        self.firstAddress = firstAddress
        self.lastAddress = lastAddress
    }

    package var type: TrafficSelectorType { firstAddress.family == .ipv4 ? .ipv4Range : .ipv6Range }

    /// Whether it is for packets whose ports cannot be seen only (RFC 4301 section 4.4.1.1).
    package var isOpaque: Bool { firstPort == .max && lastPort == 0 }

    /// Matches nothing: a range that ends before it starts, and does not mean OPAQUE.
    package var isEmpty: Bool { firstAddress > lastAddress || (firstPort > lastPort && !isOpaque) }
}

extension AddressRangeSelector {
    init(from reader: inout ByteReader, family: AddressFamily, protocolNumber: UInt8) throws(DecodingFailure) {
        self.protocolNumber = protocolNumber
        firstPort = try reader.uint16()
        lastPort = try reader.uint16()
        firstAddress = try reader.address(family)
        lastAddress = try reader.address(family)
    }

    func encodeRange(into writer: inout ByteWriter) {
        writer.append(firstPort)
        writer.append(lastPort)
        writer.append(firstAddress)
        writer.append(lastAddress)
    }
}

extension AddressRangeSelector: CustomStringConvertible {
    /// "10.0.0.0..10.0.0.255[17/53]"; what is any is left out.
    package var description: String {
        let ports: String? =
            if isOpaque { "opaque" } else if firstPort == 0 && lastPort == .max {
                nil
            } else if firstPort == lastPort {
                "\(firstPort)"
            } else {
                "\(firstPort)-\(lastPort)"
            }
        let restriction =
            switch (protocolNumber, ports) {
            case (0, nil): ""
            case (_, nil): "[\(protocolNumber)]"
            case (_, let ports?): "[\(protocolNumber)/\(ports)]"
            }
        return "\(firstAddress)..\(lastAddress)\(restriction)"
    }
}
