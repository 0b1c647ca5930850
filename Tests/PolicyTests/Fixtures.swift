import Cryptography
import IPsec
import Packets
import Testing

@testable import Policy

/// A generator with a seed, so that a failing case comes again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: some BinaryInteger) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// Counts what a lookup does.
struct CountedSteps: LookupSteps {
    var tuples = 0
    var entries = 0
    mutating func tuple() { tuples += 1 }
    mutating func entry() { entries += 1 }
}

func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

func selector(_ source: String, _ destination: String) throws -> TrafficSelector {
    TrafficSelector(source: try prefix(source), destination: try prefix(destination))
}

/// Security associations without traffic; all have one key.
enum Fixture {
    static let key = SecretBytes(copying: [UInt8](repeating: 7, count: 20))

    static func parameters(
        spi: SPI, requestID: UInt32 = 1, source: String = "192.0.2.1", destination: String = "192.0.2.2",
        owner: Int = 0, selectors: [TrafficSelector] = []
    ) throws -> SAParameters {
        SAParameters(
            spi: spi, source: try address(source), destination: try address(destination), transform: .aes128GCM16,
            key: key, requestID: requestID, replayWindow: 64, selectors: selectors, owner: owner)
    }

    static func outbound(
        spi: SPI, requestID: UInt32 = 1, source: String = "192.0.2.1", destination: String = "192.0.2.2",
        owner: Int = 0, selectors: [TrafficSelector] = []
    ) throws -> OutboundSA {
        try OutboundSA(
            parameters(
                spi: spi, requestID: requestID, source: source, destination: destination, owner: owner,
                selectors: selectors), engine: OpenSSLEngine(), now: 0)
    }

    /// From the peer 192.0.2.2 to 192.0.2.1 unless told.
    static func inbound(
        spi: SPI, requestID: UInt32 = 1, source: String = "192.0.2.2", destination: String = "192.0.2.1",
        owner: Int = 0, selectors: [TrafficSelector] = []
    ) throws -> InboundSA {
        try InboundSA(
            parameters(
                spi: spi, requestID: requestID, source: source, destination: destination, owner: owner,
                selectors: selectors), engine: OpenSSLEngine(), now: 0)
    }

    static func flow(
        _ source: String, _ destination: String, protocol number: UInt8 = IPProtocol.udp,
        ports: (UInt16, UInt16) = (1000, 2000)
    ) throws -> PacketSummary {
        PacketSummary(
            source: try address(source), destination: try address(destination), upperProtocol: number,
            sourcePort: ports.0, destinationPort: ports.1)
    }

    /// The summary of a fragment in the middle of a packet, as the parser makes it.
    static func laterFragment(source: IPAddress, destination: IPAddress, protocol number: UInt8) throws -> PacketSummary
    {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        let base = try #require(bytes.baseAddress)
        switch source.family {
        case .ipv4:
            bytes[0] = 0x45
            bytes[3] = 64
            bytes[7] = 100  // offset 800 bytes
            bytes[8] = 64
            bytes[9] = number
            source.store(to: base + 12)
            destination.store(to: base + 16)
            var sum = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + Int(bytes[$1]) << 8 + Int(bytes[$1 + 1]) }
            while sum > 0xFFFF { sum = sum >> 16 + sum & 0xFFFF }
            base.storeBytes(of: UInt16(~sum & 0xFFFF).bigEndian, toByteOffset: 10, as: UInt16.self)
        case .ipv6:
            bytes[0] = 0x60
            bytes[5] = 24
            bytes[6] = IPProtocol.fragment
            bytes[7] = 64
            source.store(to: base + 8)
            destination.store(to: base + 24)
            bytes[40] = number
            bytes[42] = 3  // offset 768 bytes
        }
        var summary = PacketSummary()
        try #require(PacketSummary.parse(base, available: 64, into: &summary) == .none)
        try #require(summary.isLaterFragment)
        return summary
    }

    static func protect(_ requestID: UInt32, _ source: String? = nil, _ destination: String? = nil) throws
        -> SecurityPolicy.Action
    {
        .protect(
            SecurityPolicy.Protection(
                requestID: requestID, source: try source.map(address), destination: try destination.map(address)))
    }
}

extension SnapshotBuilder {
    /// A snapshot of these policies and SAs.
    static func snapshot(
        workers: Int = 2, policies: [SecurityPolicy] = [], outbound: [OutboundSA] = [],
        inbound: [InboundSA] = []
    ) throws -> Snapshot {
        let builder = SnapshotBuilder(workers: workers)
        try builder.setPolicies(policies)
        for association in outbound { try builder.addOutbound(association) }
        for association in inbound { try builder.addInbound(association) }
        return builder.build()
    }
}
