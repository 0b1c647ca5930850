import Synchronization

/// What an SA has carried: the few figures that are asked for often.
public struct SAUsage: Hashable, Sendable {
    public let packets: UInt64
    /// Bytes of inner packets.
    public let bytes: UInt64
    /// The last sequence number sent, or the highest one received.
    public let sequence: UInt64
    /// Nanoseconds of the dataplane's clock; nil before the first packet.
    public let lastUsed: UInt64?

    init(packets: UInt64, bytes: UInt64, sequence: UInt64, lastUsed: UInt64) {
        self.packets = packets
        self.bytes = bytes
        self.sequence = sequence
        self.lastUsed = packets == 0 ? nil : lastUsed
    }
}

extension OutboundSA {
    /// From any thread, at any time.
    public var usage: SAUsage {
        let sequence = runtime.pointee.sequence.load(ordering: .relaxed)
        // Each packet has one number; the cipher may have failed afterwards.
        let numbered = sequence &- runtime.pointee.initialSequence
        let failed = drops[.cryptoError]
        return SAUsage(
            packets: numbered > failed ? numbered &- failed : 0, bytes: runtime.pointee.bytes.load(ordering: .relaxed),
            sequence: sequence, lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed))
    }
}

extension InboundSA {
    /// From any thread, at any time.
    public var usage: SAUsage {
        SAUsage(
            packets: runtime.pointee.packets.load(ordering: .relaxed),
            bytes: runtime.pointee.bytes.load(ordering: .relaxed),
            sequence: runtime.pointee.window.top.load(ordering: .relaxed),
            lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed))
    }
}
