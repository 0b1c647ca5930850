import Packets

/// What tests read out of, and write into, packets that a gateway sent. Offsets are those of the IP header.
extension [UInt8] {
    public func number16(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }

    public func number32(_ offset: Int) -> UInt32 {
        UInt32(number16(offset)) << 16 | UInt32(number16(offset + 2))
    }

    public var isIPv4: Bool { self[0] >> 4 == 4 }

    /// The packet as it is after this many routers: TTL or hop limit lower, IPv4 checksum new.
    public func routed(hops: UInt8) -> [UInt8] {
        var packet = self
        packet[isIPv4 ? 8 : 7] -= hops
        return packet.withHeaderChecksum()
    }

    /// DS field and ECN changed.
    public func with(trafficClass: UInt8) -> [UInt8] {
        var packet = self
        if isIPv4 {
            packet[1] = trafficClass
        } else {
            packet[0] = 0x60 | trafficClass >> 4
            packet[1] = trafficClass << 4 | packet[1] & 0xF
        }
        return packet.withHeaderChecksum()
    }

    public var trafficClass: UInt8 { isIPv4 ? self[1] : self[0] << 4 | self[1] >> 4 }

    /// The IPv4 header checksum computed again; IPv6 has none.
    public func withHeaderChecksum() -> [UInt8] {
        guard isIPv4 else { return self }
        var packet = self
        let length = Int(self[0] & 0xF) * 4
        packet.replaceSubrange(10..<12, with: [0, 0])
        packet.replaceSubrange(10..<12, with: bigEndian(internetChecksum(Array(packet[..<length]))))
        return packet
    }

    /// Source and destination address as one array.
    public var addresses: [UInt8] { Array(isIPv4 ? self[12..<20] : self[8..<40]) }

    /// An IPv4 or IPv6 packet in an Ethernet frame.
    public func framed(to destination: MACAddress, from source: MACAddress, vlan: UInt16? = nil) -> [UInt8] {
        let tag: [UInt8] = vlan.map { [0x81, 0x00] + bigEndian($0) } ?? []
        let type: [UInt8] = (first ?? 0x40) >> 4 == 6 ? [0x86, 0xDD] : [0x08, 0x00]
        return Array(bigEndian(destination.bits)[2...]) + bigEndian(source.bits)[2...] + tag + type + self
    }
}

/// A frame that a gateway sent, taken apart.
public struct SentFrame: Equatable, Sendable {
    public let destination: MACAddress
    public let source: MACAddress
    public let vlan: UInt16?
    public let type: UInt16
    /// From the IP header on.
    public let packet: [UInt8]

    public init(_ frame: [UInt8]) {
        func address(_ offset: Int) -> MACAddress {
            MACAddress(frame[offset..<offset + 6].reduce(0) { $0 << 8 | UInt64($1) })
        }
        destination = address(0)
        source = address(6)
        let isTagged = frame.number16(12) == 0x8100
        vlan = isTagged ? frame.number16(14) : nil
        type = frame.number16(isTagged ? 16 : 12)
        packet = Array(frame[(isTagged ? 18 : 14)...])
    }
}

/// A small generator with a seed, so that a failure can be repeated (splitmix64).
public struct SeededNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
