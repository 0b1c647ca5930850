import Cryptography
import IPsec
import Packets

/// Seals any bytes as if they were an IP packet: an authentic peer that sends nonsense.
public final class RawSealer {
    private let association: OutboundSA
    private let frame: UnsafeMutableRawPointer
    private static let size = 4096
    private static let headroom = 256

    /// With the key of the SA of these parameters; nobody else may send with it.
    public init(_ parameters: SAParameters, now: UInt64) throws {
        association = try OutboundSA(parameters, engine: OpenSSLEngine(), now: now)
        frame = .allocate(byteCount: Self.size, alignment: 64)
        frame.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size)
    }

    deinit { frame.deallocate() }

    /// The frame, valid until the next call; at most 1,700 bytes of payload. `nextHeader` goes into the trailer.
    public func seal(
        _ payload: UnsafeRawBufferPointer, nextHeader: UInt8, to: MACAddress, from: MACAddress
    ) -> UnsafeRawBufferPointer {
        let inner = frame + Self.headroom
        let count = min(payload.count, 1700)
        if let source = payload.baseAddress { inner.copyMemory(from: source, byteCount: count) }
        var operation = ESPOperation(context: inner, header: inner, payloadLength: 0)
        var outer = OuterPacket(start: inner, length: 0)
        let prepared = ESPOutbound.prepare(
            association.runtime, inner: inner, innerLength: count, trafficClass: 0, nextHeader: nextHeader,
            dontFragment: true, now: 1, operation: &operation, outer: &outer)
        ESPBatch.run(&operation, count: 1)
        let finished = ESPOutbound.finish(association.runtime, operation: &operation, outer: outer)
        precondition(prepared.isPass && finished.isPass, "a test's SA has no limits")
        let link = outer.start - 14
        to.store(to: link)
        from.store(to: link + 6)
        let isIPv4 = outer.start.load(as: UInt8.self) >> 4 == 4
        (link + 12).storeBytes(of: UInt16(isIPv4 ? 0x0800 : 0x86DD).bigEndian, as: UInt16.self)
        return UnsafeRawBufferPointer(start: link, count: outer.length + 14)
    }

    public func seal(_ payload: [UInt8], nextHeader: UInt8, to: MACAddress, from: MACAddress) -> [UInt8] {
        payload.withUnsafeBytes { [UInt8](seal($0, nextHeader: nextHeader, to: to, from: from)) }
    }
}
