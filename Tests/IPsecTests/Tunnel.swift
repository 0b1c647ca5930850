import Cryptography
import IPsec
import Packets
import Telemetry

/// A frame in which packets are protected and unprotected in place.
final class Frame {
    static let size = 4096
    static let headroom = 256
    let memory: UnsafeMutableRawPointer

    init() {
        memory = .allocate(byteCount: Self.size, alignment: 64)
        // Not zero, so that nothing relies on clean frames.
        memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: Self.size)
    }

    deinit { memory.deallocate() }

    func load(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        let start = memory + Self.headroom
        bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { start.copyMemory(from: base, byteCount: source.count) }
        }
        return start
    }
}

func bytes(_ start: UnsafeRawPointer, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: start, count: count))
}

/// Both ends of one SA.
final class Tunnel {
    static let engine = OpenSSLEngine()
    let parameters: SAParameters
    let outbound: OutboundSA
    let inbound: InboundSA
    let frame = Frame()

    init(_ parameters: SAParameters, ivBase: UInt64? = nil, now: UInt64 = 0) throws {
        self.parameters = parameters
        outbound = try OutboundSA(parameters, engine: Self.engine, now: now, ivBase: ivBase)
        inbound = try InboundSA(parameters, engine: Self.engine, now: now)
    }

    /// Sends one inner packet: the outer packet, or why there is none.
    func protect(_ inner: [UInt8], now: UInt64 = 1) throws -> (verdict: Verdict, outer: [UInt8]) {
        var summary = PacketSummary()
        let start = frame.load(inner)
        guard PacketSummary.parse(start, available: inner.count, into: &summary) == .none else {
            throw TestFailure.unreadable
        }
        var operation = ESPOperation(context: start, header: start, payloadLength: 0)
        var outer = OuterPacket(start: start, length: 0)
        var verdict = ESPOutbound.prepare(
            outbound.runtime, inner: start, innerLength: inner.count, trafficClass: summary.trafficClass,
            nextHeader: summary.family == .ipv4 ? IPProtocol.ipv4 : IPProtocol.ipv6,
            dontFragment: summary.dontFragment, now: now, operation: &operation, outer: &outer)
        guard verdict.isPass else { return (verdict, []) }
        ESPBatch.run(&operation, count: 1)
        verdict = ESPOutbound.finish(outbound.runtime, operation: &operation, outer: outer)
        return (verdict, verdict.isPass ? bytes(outer.start, outer.length) : [])
    }

    /// Receives one outer packet: the inner packet, or why there is none.
    func unprotect(_ outer: [UInt8], now: UInt64 = 1) throws -> (verdict: Verdict, inner: [UInt8]) {
        let start = frame.load(outer)
        var summary = PacketSummary()
        guard PacketSummary.parse(start, available: outer.count, into: &summary) == .none else {
            throw TestFailure.unreadable
        }
        let isEncapsulated = summary.upperProtocol == IPProtocol.udp
        let admitted = ESPInbound.admit(
            inbound.runtime, destination: summary.destination, isEncapsulated: isEncapsulated)
        guard admitted.isPass else { return (admitted, []) }
        let offset = summary.headerLength + (isEncapsulated ? 8 : 0)
        return unprotect(
            header: start + offset, length: summary.totalLength - offset, trafficClass: summary.trafficClass, now: now)
    }

    /// Receives what begins with an ESP header.
    func unprotect(
        header: UnsafeMutableRawPointer, length: Int, trafficClass: UInt8 = 0, now: UInt64 = 1
    ) -> (verdict: Verdict, inner: [UInt8]) {
        var operation = ESPOperation(context: header, header: header, payloadLength: 0)
        var inner = InnerPacket(start: header)
        var verdict = ESPInbound.prepare(inbound.runtime, header: header, length: length, operation: &operation)
        guard verdict.isPass else { return (verdict, []) }
        ESPBatch.run(&operation, count: 1)
        verdict = ESPInbound.finish(
            inbound.runtime, operation: &operation, outerTrafficClass: trafficClass, now: now, inner: &inner)
        return (verdict, verdict.isPass ? bytes(inner.start, inner.length) : [])
    }

    /// How often the inbound SA dropped for a reason.
    func inboundDrops(_ reason: DropReason) -> UInt64 {
        inbound.status(now: 0).drops.first { $0.reason == reason }?.packets ?? 0
    }
}

extension ESPInbound {
    /// Everything after the cipher, as for the first packet of a flow.
    static func finish(
        _ sa: UnsafeMutablePointer<InboundRuntime>, operation: UnsafePointer<ESPOperation>, outerTrafficClass: UInt8,
        now: UInt64, inner: inout InnerPacket
    ) -> Verdict {
        var payload = OpenedPayload(start: operation.pointee.header)
        let unwrapped = unwrap(sa, operation: operation, now: now, payload: &payload)
        if !unwrapped.isPass { return unwrapped }
        let accepted = accept(sa, payload: payload, inner: &inner)
        if !accepted.isPass { return accepted }
        return complete(
            sa, packet: inner.start, length: inner.length, family: inner.summary.family,
            trafficClass: &inner.summary.trafficClass, outerTrafficClass: outerTrafficClass, now: now)
    }
}

enum TestFailure: Error {
    case unreadable
}

// MARK: - Packets and parameters

func address(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else { throw TestFailure.unreadable }
    return address
}

func prefix(_ text: String) throws -> IPPrefix {
    guard let prefix = IPPrefix(text) else { throw TestFailure.unreadable }
    return prefix
}

func selector(_ source: String, _ destination: String) throws -> TrafficSelector {
    TrafficSelector(source: try prefix(source), destination: try prefix(destination))
}

/// A protocol number without ports, reserved for experiments (RFC 3692).
let experimental: UInt8 = 253

/// An IPv4 packet of `count` bytes (20 at least) from 10.1.0.1 to 10.2.0.1.
func ipv4(
    _ count: Int, trafficClass: UInt8 = 0, dontFragment: Bool = false, protocol number: UInt8 = experimental,
    source: UInt32 = 0x0A01_0001, destination: UInt32 = 0x0A02_0001, ports: (UInt16, UInt16)? = nil
) -> [UInt8] {
    var packet = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    func put<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
        for index in 0..<Number.bitWidth / 8 {
            packet[offset + index] = UInt8(truncatingIfNeeded: value >> (Number.bitWidth - 8 - 8 * index))
        }
    }
    put(0x4500 | UInt16(trafficClass), at: 0)
    put(UInt16(count), at: 2)
    put(dontFragment ? 0x4000 : 0 as UInt32, at: 4)
    put(0x4000_0000 | UInt32(number) << 16, at: 8)
    put(source, at: 12)
    put(destination, at: 16)
    if let ports {
        put(ports.0, at: 20)
        put(ports.1, at: 22)
    }
    put(packet.withUnsafeBytes { $0.baseAddress.map { Checksum.internet($0, count: 20) } ?? 0 }, at: 10)
    return packet
}

/// An IPv6 packet of `count` bytes (40 at least) from 2001:db8:1::1 to 2001:db8:2::1.
func ipv6(_ count: Int, trafficClass: UInt8 = 0, protocol number: UInt8 = experimental) -> [UInt8] {
    var packet = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 41) }
    packet.replaceSubrange(0..<8, with: [0x60 | trafficClass >> 4, trafficClass << 4, 0, 0, 0, 0, number, 64])
    packet[4] = UInt8((count - 40) >> 8)
    packet[5] = UInt8(truncatingIfNeeded: count - 40)
    packet.replaceSubrange(8..<24, with: [0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    packet.replaceSubrange(24..<40, with: [0x20, 0x01, 0x0D, 0xB8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    return packet
}

func packet(_ family: AddressFamily, _ count: Int, trafficClass: UInt8 = 0) -> [UInt8] {
    family == .ipv4 ? ipv4(count, trafficClass: trafficClass) : ipv6(count, trafficClass: trafficClass)
}

/// Parameters with a fixed key, for outer addresses of a family.
func parameters(
    _ family: AddressFamily = .ipv4, transform: ESPTransform = .aes128GCM16, isEncapsulated: Bool = false,
    change: (inout SAParameters) -> Void = { _ in }
) throws -> SAParameters {
    var parameters = SAParameters(
        spi: 0xC0FF_EE01, source: try address(family == .ipv4 ? "192.0.2.1" : "2001:db8:ffff::1"),
        destination: try address(family == .ipv4 ? "198.51.100.2" : "2001:db8:ffff::2"), transform: transform,
        key: SecretBytes(copying: (0..<transform.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 &* 3 &+ 1) }),
        encapsulation: isEncapsulated ? UDPEncapsulation(sourcePort: 4500, destinationPort: 61_000) : nil)
    change(&parameters)
    return parameters
}

let families: [AddressFamily] = [.ipv4, .ipv6]

/// A small generator with a seed, so that a failure can be repeated (xorshift64*).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// One inbound packet, step by step.
struct ESPOperationBox {
    private var operation: ESPOperation
    private let header: UnsafeMutableRawPointer

    init(_ header: UnsafeMutableRawPointer) {
        self.header = header
        operation = ESPOperation(context: header, header: header, payloadLength: 0)
    }

    mutating func prepare(_ tunnel: Tunnel, length: Int) -> Verdict {
        ESPInbound.prepare(tunnel.inbound.runtime, header: header, length: length, operation: &operation)
    }

    mutating func open() { ESPBatch.run(&operation, count: 1) }

    mutating func finish(_ tunnel: Tunnel, outerTrafficClass: UInt8 = 0, inner: inout InnerPacket) -> Verdict {
        ESPInbound.finish(
            tunnel.inbound.runtime, operation: &operation, outerTrafficClass: outerTrafficClass, now: 1, inner: &inner)
    }

    mutating func receive(
        _ tunnel: Tunnel, length: Int, outerTrafficClass: UInt8 = 0, inner: inout InnerPacket
    ) -> Verdict {
        let verdict = prepare(tunnel, length: length)
        guard verdict.isPass else { return verdict }
        open()
        return finish(tunnel, outerTrafficClass: outerTrafficClass, inner: &inner)
    }
}
