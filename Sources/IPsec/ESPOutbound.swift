import Cryptography
import Packets
import Synchronization
import Telemetry

/// A packet with its outer headers, in the frame of the inner packet.
@frozen
public struct OuterPacket: BitwiseCopyable {
    /// The outer IP header.
    public var start: UnsafeMutableRawPointer
    /// Bytes from there to the end of the ICV.
    public var length: Int

    @inlinable
    public init(start: UnsafeMutableRawPointer, length: Int) {
        self.start = start
        self.length = length
    }
}

/// Protects packets with ESP in tunnel mode (RFC 4303 section 3.3).
///
///     prepare  1. lifetime and sequence number        sequence is used up even if the cipher then fails
///              2. padding and trailer                 behind the inner packet
///              3. ESP header                          before it, with room for the IV
///              4. the operation for the cipher
///              5. outer headers                       a copy of the SA's template, then what changes
///     (cipher) IV, encryption, ICV                    in batches: `ESPBatch`
///     finish   6. the cipher's status
///              7. UDP checksum                        over IPv6 only, since it covers the ciphertext
///
/// Not done here: the policy lookup, TTL of the inner packet, fragmentation and ICMP (all before), and the link header
/// (after).
public enum ESPOutbound: OutboundKind {
    @inlinable public static var kind: SAKind { .espTunnel }

    /// Everything before the cipher. Fills `operation` and `outer` if the verdict is `pass`, and counts a drop at the SA.
    ///
    /// Called by the SA's owner only.
    /// - `inner`: the inner IP header, with `OutboundRuntime.maximumHeadroom` writable bytes before it and
    ///   `OutboundRuntime.maximumTailroom` behind the packet. What was there is lost.
    /// - `innerLength`: bytes, at most `OutboundRuntime.mtu` (the caller has fragmented or refused larger ones).
    /// - `trafficClass`: DS and ECN field of the inner header.
    /// - `nextHeader`: 4 for IPv4, 41 for IPv6.
    /// - `dontFragment`: the inner packet is IPv6 or has DF set.
    /// - `now`: nanoseconds of the dataplane's clock.
    @inlinable
    @inline(__always)
    public static func prepare(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, inner: UnsafeMutableRawPointer, innerLength: Int,
        trafficClass: UInt8,
        nextHeader: UInt8, dontFragment: Bool, now: UInt64, operation: UnsafeMutablePointer<ESPOperation>,
        outer: inout OuterPacket
    ) -> Verdict {
        let last = sa.pointee.sequence.load(ordering: .relaxed)
        let bytes = sa.pointee.bytes.load(ordering: .relaxed)
        if sa.pointee.stops.isReached(packets: last, bytes: bytes, now: now) {
            let verdict = reachedStop(sa, now: now)
            if !verdict.isPass { return verdict }
        }
        let sequence = last &+ 1
        sa.pointee.sequence.store(sequence, ordering: .relaxed)
        sa.pointee.bytes.store(bytes &+ UInt64(truncatingIfNeeded: innerLength), ordering: .relaxed)
        sa.pointee.lastUsed.store(now, ordering: .relaxed)

        let padLength = (0 &- innerLength &- 2) & Int(sa.pointee.alignmentMask)
        Padding.write(at: inner + innerLength, length: padLength, nextHeader: nextHeader)
        let payloadLength = innerLength &+ padLength &+ 2

        let espHeaderLength = Int(sa.pointee.espHeaderLength)
        let esp = inner - espHeaderLength
        sa.pointee.template.copy(before: esp)
        // SPI, then the low half of the sequence number, both in network order.
        let low = UInt32(truncatingIfNeeded: sequence).bigEndian
        esp.storeBytes(of: UInt64(sa.pointee.spi.networkOrder) | UInt64(low) << 32, as: UInt64.self)

        operation.pointee.context = sa.pointee.context
        operation.pointee.header = esp
        operation.pointee.iv = sa.pointee.ivBase &+ sequence &<< UInt64(sa.pointee.ivShift)
        operation.pointee.payloadLength = UInt32(truncatingIfNeeded: payloadLength)
        operation.pointee.sequenceHigh = UInt32(truncatingIfNeeded: sequence &>> 32)
        operation.pointee.status = .failure

        let headerLength = Int(sa.pointee.headerLength)
        outer.start = esp - headerLength
        outer.length = headerLength &+ espHeaderLength &+ payloadLength &+ Int(sa.pointee.icvLength)
        let isIPv6 = nextHeader == IPProtocol.ipv6
        let innerDF: UInt16 = dontFragment || isIPv6 ? 0x4000 : 0
        OuterHeader.patch(
            sa, outer: outer, esp: esp, trafficClass: trafficClass & sa.pointee.trafficClassMask,
            dontFragment: innerDF & sa.pointee.dontFragmentCopy | sa.pointee.dontFragmentSet,
            identification: UInt16(truncatingIfNeeded: sequence))
        return .pass
    }

    /// Everything after the cipher. The outer packet may be sent if the verdict is `pass`; a drop is counted at the SA.
    @inlinable
    @inline(__always)
    public static func finish(
        _ sa: UnsafeMutablePointer<OutboundRuntime>, operation: UnsafePointer<ESPOperation>, outer: OuterPacket
    ) -> Verdict {
        if operation.pointee.status != .ok { return drop(sa, .cryptoError) }
        if sa.pointee.flags.isSuperset(of: .udpOverIPv6) {
            OuterHeader.writeUDPChecksum(outer, esp: operation.pointee.header)
        }
        return .pass
    }

    @usableFromInline
    @inline(never)
    static func drop(_ sa: UnsafeMutablePointer<OutboundRuntime>, _ reason: DropReason) -> Verdict {
        sa.pointee.drops.count(reason)
        return .drop(reason)
    }

    /// A stop is reached: the first packet, a soft or hard limit, or the end of the sequence numbers.
    @usableFromInline
    @inline(never)
    static func reachedStop(_ sa: UnsafeMutablePointer<OutboundRuntime>, now: UInt64) -> Verdict {
        let last = sa.pointee.sequence.load(ordering: .relaxed)
        if sa.pointee.firstUsed.load(ordering: .relaxed) == 0 {
            sa.pointee.firstUsed.store(max(now, 1), ordering: .relaxed)
        }
        var (events, verdict, stops) = sa.pointee.limits.evaluate(
            LifetimeLimits.Progress(
                packets: last &- sa.pointee.initialSequence, bytes: sa.pointee.bytes.load(ordering: .relaxed), now: now,
                firstUsed: sa.pointee.firstUsed.load(ordering: .relaxed)))

        // From a count of packets to the sequence number at which it is reached, and never beyond the last one.
        let maximum = sa.pointee.maximumSequence
        let (stop, overflow) = stops.packets.addingReportingOverflow(sa.pointee.initialSequence)
        stops.packets = overflow ? maximum : min(stop, maximum)
        if last >= maximum {
            events.insert(.sequenceExhausted)
            verdict = .drop(.sequenceExhausted)
        }
        sa.pointee.stops = stops
        let raised = sa.pointee.events.load(ordering: .relaxed)
        sa.pointee.events.store(raised | events.rawValue, ordering: .relaxed)
        sa.pointee.drops.count(verdict)
        return verdict
    }
}
