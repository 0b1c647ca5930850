import Packets

/// TS_IPV4_ADDR_RANGE and TS_IPV6_ADDR_RANGE (RFC 7296 section 3.13.1).
///
///     |   TS Type     |IP Protocol ID |       Selector Length         |
///     |           Start Port          |           End Port            |
///     ~                         Starting Address                      ~
///     ~                         Ending Address                        ~
public struct AddressRangeSelector: Hashable, Sendable {
    /// 0: any protocol.
    public var protocolNumber: UInt8
    /// ICMP: type in the upper, code in the lower byte. 0 to 65535 is any, 65535 to 0 is OPAQUE: no port to be had.
    public var firstPort: UInt16
    public var lastPort: UInt16
    /// Both of one family.
    public let firstAddress: IPAddress
    public let lastAddress: IPAddress

    /// Nil when the addresses are of different families.
    public init?(
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

    public var type: TrafficSelectorType { firstAddress.family == .ipv4 ? .ipv4Range : .ipv6Range }

    /// Only packets whose ports cannot be seen (RFC 4301 section 4.4.1.1).
    public var isOpaque: Bool { firstPort == .max && lastPort == 0 }

    /// Matches nothing: a range that ends before it starts, and does not mean OPAQUE.
    public var isEmpty: Bool { firstAddress > lastAddress || (firstPort > lastPort && !isOpaque) }
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
    public var description: String {
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
