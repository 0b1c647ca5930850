import Packets

extension IPAddress {
    /// From 4 or 16 bytes in network order; nil when the count is not the family's.
    init?(networkOrder bytes: [UInt8], family: AddressFamily) {
        guard bytes.count == (family == .ipv4 ? 4 : 16) else { return nil }
        let low = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch family {
        case .ipv4: self.init(ipv4: UInt32(truncatingIfNeeded: low))
        case .ipv6: self.init(ipv6High: bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }, low: low)
        }
    }
}

extension ByteReader {
    mutating func address(_ family: AddressFamily) throws(DecodingFailure) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: try uint32())
        case .ipv6: IPAddress(ipv6High: try uint64(), low: try uint64())
        }
    }
}

extension ByteWriter {
    mutating func append(_ address: IPAddress) {
        switch address.family {
        case .ipv4: append(UInt32(truncatingIfNeeded: address.low))
        case .ipv6:
            append(address.high)
            append(address.low)
        }
    }
}
