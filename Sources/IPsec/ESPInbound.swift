import CLinux
import Cryptography
import Packets
import Synchronization
import Telemetry

/// A decrypted packet, in the frame in which it arrived.
@frozen
public struct InnerPacket: BitwiseCopyable {
    /// The inner IP header.
    public var start: UnsafeMutableRawPointer
    /// Bytes of the packet by its IP header; what follows them is TFC padding, which is ignored.
    public var length: Int
    public var summary: PacketSummary

    /// A value to be filled by `ESPInbound.accept`.
    @inlinable
    public init(start: UnsafeMutableRawPointer, length: Int = 0, summary: PacketSummary = PacketSummary()) {
        self.start = start
        self.length = length
        self.summary = summary
    }
}

/// Takes packets out of ESP in tunnel mode (RFC 4303 section 3.4, RFC 4301 section 5.2).
///
///     locate   0. the ESP header                      behind the IP header, or in UDP on port 4500 (RFC 3948 section 2)
///     admit    1. outer destination, encapsulation    the packet is one for this SA
///     prepare  2. lengths                             what the cipher relies on
///              3. high half of the sequence number    RFC 4303 appendix A2
///              4. replay check, without change
///     (cipher) ICV, decryption                        in batches: `ESPBatch`
///     unwrap   5. the cipher's status
///              6. replay check again, with change     a copy may be in the same batch
///              7. lifetime
///              8. trailer, padding, next header       only of authenticated packets, so they are no oracle
///     accept   9. the inner packet                    its length ends it; the rest is TFC padding
///             10. selectors
///     complete 11. ECN                                RFC 6040
///
/// Not done here: the lookup of the SPI, reassembly of outer fragments, TTL of the inner packet, policies.
public enum ESPInbound: InboundKind {
    @inlinable public static var kind: SAKind { .espTunnel }

    /// Finds the ESP header behind the outer IP header, or in UDP on port 4500 (RFC 3948 section 2).
    @inlinable
    @inline(__always)
    public static func locate(
        _ upper: UnsafeMutableRawPointer, protocolNumber: UInt8, length: Int, header: inout SecurityHeader
    ) -> Verdict {
        if protocolNumber == IPProtocol.esp {
            guard length >= 8 else { return .drop(.malformedESP) }
            header.start = upper
            header.length = length
            return .pass
        }
        guard protocolNumber == IPProtocol.udp else {
            return .drop(protocolNumber == IPProtocol.ah ? .unsupportedAH : .unexpectedPacket)
        }
        guard length >= 8 else { return .drop(.malformedUDPEncapsulation) }
        let ports = upper.loadUnaligned(as: UInt64.self)
        guard UInt16(truncatingIfNeeded: ports &>> 16) == IPsecPort.encapsulation.bigEndian else {
            return .drop(.unexpectedPacket)
        }
        let datagram = Int(UInt16(truncatingIfNeeded: ports &>> 32).byteSwapped)
        guard datagram >= 8, datagram <= length else { return .drop(.malformedUDPEncapsulation) }
        if datagram == 9, upper.load(fromByteOffset: 8, as: UInt8.self) == 0xFF { return .drop(.natKeepalive) }
        guard datagram >= 16 else { return .drop(.malformedUDPEncapsulation) }
        guard upper.loadUnaligned(fromByteOffset: 8, as: UInt32.self) != 0 else { return .drop(.nonESPMarker) }
        header.start = upper + 8
        header.length = datagram &- 8
        header.isEncapsulated = true
        return .pass
    }

    /// Brings near what the steps before the cipher read of an SA.
    @inlinable
    @inline(__always)
    public static func prefetch(_ sa: UnsafeMutablePointer<InboundRuntime>) {
        sluice_prefetch(sa)
        sluice_prefetch_write(UnsafeRawPointer(sa) + 64)
        // The bits of the replay window lie behind the record; those of a small window in one line or two.
        sluice_prefetch_write(UnsafeRawPointer(sa) + MemoryLayout<InboundRuntime>.stride)
    }

    /// Whether the SA is for packets with this outer destination and encapsulation. A drop is counted at the SA, so
    /// only the SA's owner may call it.
    ///
    /// The ports of the encapsulation are not compared: a NAT may change them at any time (RFC 3948 section 2.1).
    @inlinable
    @inline(__always)
    public static func admit(
        _ sa: UnsafeMutablePointer<InboundRuntime>, destination: IPAddress, isEncapsulated: Bool
    ) -> Verdict {
        let difference =
            (destination.high ^ sa.pointee.destinationHigh.load(ordering: .relaxed))
            | (destination.low ^ sa.pointee.destinationLow.load(ordering: .relaxed))
        if difference != 0 || destination.family.rawValue != sa.pointee.destinationFamily.load(ordering: .relaxed) {
            return drop(sa, .spiDestinationMismatch)
        }
        if sa.pointee.flags.isDisjoint(with: isEncapsulated ? .udp : .bare) {
            return drop(sa, .encapsulationMismatch)
        }
        return .pass
    }

    /// Everything before the cipher. Fills `operation` if the verdict is `pass`; a drop is counted at the SA.
    ///
    /// Called by the SA's owner only.
    /// - `header`: the ESP header, inside of an IP packet: at least 16 bytes before it are readable.
    /// - `length`: bytes from there to the end of the outer packet, however few or many.
    @inlinable
    @inline(__always)
    public static func prepare(
        _ sa: UnsafeMutablePointer<InboundRuntime>, header: UnsafeMutableRawPointer, length: Int,
        operation: UnsafeMutablePointer<ESPOperation>
    ) -> Verdict {
        let payloadLength = length &- Int(sa.pointee.overhead)
        if payloadLength <= 0 || payloadLength & Int(sa.pointee.alignmentMask) != 0 {
            return drop(sa, .malformedESP)
        }
        let low = UInt32(bigEndian: header.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        var sequence = UInt64(low)
        if sa.pointee.flags.contains(.extendedSequence) {
            sequence = sa.pointee.window.extended(low)
            if !sa.pointee.window.isPlausible(sequence) { return drop(sa, .replayTooOld) }
        }
        switch sa.pointee.window.verify(sequence) {
        case .new: break
        case .duplicate: return drop(sa, .replayDuplicate)
        case .tooOld: return drop(sa, .replayTooOld)
        }
        operation.pointee.context = sa.pointee.context
        operation.pointee.header = header
        // Opening needs no IV from us; the whole sequence number waits here for `unwrap`.
        operation.pointee.iv = sequence
        operation.pointee.payloadLength = UInt32(truncatingIfNeeded: payloadLength)
        operation.pointee.sequenceHigh = UInt32(truncatingIfNeeded: sequence &>> 32)
        operation.pointee.status = .failure
        return .pass
    }

    /// Steps 5 to 8. A drop is counted at the SA.
    @inlinable
    @inline(__always)
    public static func unwrap(
        _ sa: UnsafeMutablePointer<InboundRuntime>, operation: UnsafePointer<ESPOperation>, now: UInt64,
        payload: inout OpenedPayload
    ) -> Verdict {
        if operation.pointee.status != .ok {
            return drop(sa, operation.pointee.status == .integrityFailure ? .integrityFailure : .cryptoError)
        }
        if !sa.pointee.window.commit(operation.pointee.iv) { return drop(sa, .replayAtCommit) }

        let packets = sa.pointee.packets.load(ordering: .relaxed)
        let bytes = sa.pointee.bytes.load(ordering: .relaxed)
        if sa.pointee.stops.isReached(packets: packets, bytes: bytes, now: now) {
            let verdict = reachedStop(sa, now: now)
            if !verdict.isPass { return verdict }
        }

        // The payload is at least one block of the alignment, so the two bytes are there.
        let start = operation.pointee.header + Int(sa.pointee.espHeaderLength)
        let trailer = start + (Int(operation.pointee.payloadLength) &- 2)
        let padLength = trailer.load(as: UInt8.self)
        let nextHeader = trailer.load(fromByteOffset: 1, as: UInt8.self)
        let available = Int(operation.pointee.payloadLength) &- 2 &- Int(padLength)
        if available < 0 { return drop(sa, .badTrailer) }
        if !Padding.isValid(before: trailer, length: padLength, alignmentMask: sa.pointee.alignmentMask) {
            return drop(sa, .badPadding)
        }
        if nextHeader != IPProtocol.ipv4 && nextHeader != IPProtocol.ipv6 {
            return drop(sa, nextHeader == IPProtocol.none ? .dummyPacket : .unsupportedNextHeader)
        }
        payload.start = start
        payload.available = available
        payload.family = nextHeader == IPProtocol.ipv4 ? .ipv4 : .ipv6
        return .pass
    }

    /// Steps 9 and 10: the payload is an IP packet of its family, and one that the SA may carry. A drop is counted at the
    /// SA. Depends on nothing but the addresses, the upper protocol and the ports (and the packet's form): what was
    /// accepted once for a flow need not be asked again.
    @inlinable
    public static func accept(
        _ sa: UnsafeMutablePointer<InboundRuntime>, payload: OpenedPayload, inner: inout InnerPacket
    ) -> Verdict {
        let failure = PacketSummary.parse(payload.start, available: payload.available, into: &inner.summary)
        if failure != .none { return drop(sa, failure == .totalLength ? .innerLength : .innerMalformed) }
        if inner.summary.family != payload.family { return drop(sa, .innerMalformed) }
        inner.start = payload.start
        inner.length = inner.summary.totalLength
        let isFirst = sa.pointee.selector.matches(
            payload.start, family: payload.family, upperProtocol: inner.summary.upperProtocol,
            tag: sa.pointee.selectorTag)
        if !isFirst {
            if !matchesAnySelector(sa, inner.summary) { return drop(sa, .selectorMismatch) }
        }
        return .pass
    }

    /// Step 11, and the SA's counters. `trafficClass` is that of the inner packet; ECN may change it.
    @inlinable
    @inline(__always)
    public static func complete(
        _ sa: UnsafeMutablePointer<InboundRuntime>, packet: UnsafeMutableRawPointer, length: Int, family: AddressFamily,
        trafficClass: inout UInt8, outerTrafficClass: UInt8, now: UInt64
    ) -> Verdict {
        if sa.pointee.flags.contains(.ecn) {
            let field = ECN.decapsulate(inner: trafficClass, outer: outerTrafficClass)
            if field != trafficClass & 3 {
                let verdict = applyECN(sa, field: field, packet: packet, family: family, trafficClass: &trafficClass)
                if !verdict.isPass { return verdict }
            }
        }
        let packets = sa.pointee.packets.load(ordering: .relaxed)
        let bytes = sa.pointee.bytes.load(ordering: .relaxed)
        sa.pointee.packets.store(packets &+ 1, ordering: .relaxed)
        sa.pointee.bytes.store(bytes &+ UInt64(truncatingIfNeeded: length), ordering: .relaxed)
        sa.pointee.lastUsed.store(now, ordering: .relaxed)
        return .pass
    }
}

// What few packets need: kept out of line, so that the way of the others stays short.
extension ESPInbound {
    @usableFromInline
    @inline(never)
    static func drop(_ sa: UnsafeMutablePointer<InboundRuntime>, _ reason: DropReason) -> Verdict {
        sa.pointee.drops.count(reason)
        return .drop(reason)
    }

    /// A stop is reached: the first packet, a soft or a hard limit.
    @usableFromInline
    @inline(never)
    static func reachedStop(_ sa: UnsafeMutablePointer<InboundRuntime>, now: UInt64) -> Verdict {
        if sa.pointee.firstUsed.load(ordering: .relaxed) == 0 {
            sa.pointee.firstUsed.store(max(now, 1), ordering: .relaxed)
        }
        let (events, verdict, stops) = sa.pointee.limits.evaluate(
            LifetimeLimits.Progress(
                packets: sa.pointee.packets.load(ordering: .relaxed),
                bytes: sa.pointee.bytes.load(ordering: .relaxed), now: now,
                firstUsed: sa.pointee.firstUsed.load(ordering: .relaxed)))
        sa.pointee.stops = stops
        let raised = sa.pointee.events.load(ordering: .relaxed)
        sa.pointee.events.store(raised | events.rawValue, ordering: .relaxed)
        sa.pointee.drops.count(verdict)
        return verdict
    }

    /// The whole list of selectors (RFC 4301 section 5.2, step 4): for what the masks of the first cannot say.
    @usableFromInline
    @inline(never)
    static func matchesAnySelector(_ sa: UnsafeMutablePointer<InboundRuntime>, _ packet: PacketSummary) -> Bool {
        let selectors = sa.pointee.selectors
        var index = 0
        while index < sa.pointee.selectorCount {
            if selectors[index].matches(packet) { return true }
            index &+= 1
        }
        return false
    }

    /// The ECN field changes, or its combination is one that should not occur (RFC 6040 section 4.2).
    @usableFromInline
    @inline(never)
    static func applyECN(
        _ sa: UnsafeMutablePointer<InboundRuntime>, field: UInt8, packet: UnsafeMutableRawPointer,
        family: AddressFamily,
        trafficClass: inout UInt8
    ) -> Verdict {
        if field & (ECN.anomaly | ECN.drop) != 0 {
            let count = sa.pointee.ecnAnomalies.load(ordering: .relaxed)
            sa.pointee.ecnAnomalies.store(count &+ 1, ordering: .relaxed)
        }
        if field & ECN.drop != 0 { return drop(sa, .ecnIllegal) }
        let marking = field & 3
        if marking != trafficClass & 3 {
            ECN.set(marking, in: packet, family: family)
            trafficClass = trafficClass & ~3 | marking
        }
        return .pass
    }
}

/// The outer source of packets in UDP as one number, to be compared per packet: exact for IPv4, mixed for IPv6.
///
/// Two sources of one mark are taken for the same, which costs no more than that a moved peer is not followed; the
/// peer's packets are authenticated in any case.
@usableFromInline
enum SourceMark {
    /// Packets may come from anywhere.
    @inlinable static var anywhere: UInt64 { 0 }

    @inlinable
    @inline(__always)
    static func make(_ address: IPAddress, port: UInt16) -> UInt64 {
        let mixed = (address.high &* 0x9E37_79B9_7F4A_7C15) ^ (address.low &<< 16 | address.low &>> 48)
        return mixed ^ UInt64(port)
    }
}

extension ESPInbound {
    /// Whether an authenticated packet in UDP came from elsewhere than the last ones, and none sent later came before it:
    /// then the peer's NAT mapping has changed (RFC 7296 section 2.23).
    ///
    /// - `packet`: the outer IP header; `esp` is the ESP header behind the UDP header.
    /// - `sequence`: the packet's own, whole.
    @inlinable
    @inline(__always)
    public static func isFromElsewhere(
        _ sa: UnsafeMutablePointer<InboundRuntime>, packet: UnsafeRawPointer, esp: UnsafeRawPointer, sequence: UInt64
    ) -> Bool {
        let expected = sa.pointee.sourceMark.load(ordering: .relaxed)
        if expected == SourceMark.anywhere { return false }
        let source = source(packet, esp: esp)
        return SourceMark.make(source.address, port: source.port) != expected
            && sa.pointee.window.top.load(ordering: .relaxed) == sequence
    }

    /// The outer source address.
    @inlinable
    @inline(__always)
    public static func sourceAddress(_ packet: UnsafeRawPointer) -> IPAddress {
        let isIPv4 = AddressFamily(ofPacketAt: packet) == .ipv4
        return IPAddress(loading: packet + (isIPv4 ? 12 : 8), family: isIPv4 ? .ipv4 : .ipv6)
    }

    /// The outer source address and UDP source port.
    @inlinable
    @inline(__always)
    public static func source(
        _ packet: UnsafeRawPointer, esp: UnsafeRawPointer
    ) -> (address: IPAddress, port: UInt16) {
        (sourceAddress(packet), UInt16(bigEndian: (esp - 8).loadUnaligned(as: UInt16.self)))
    }
}

/// ESP padding: 1, 2, 3, ... (RFC 4303 section 2.4).
public enum Padding {
    /// 1, 2, ... 16, as the bytes lie in memory.
    @inlinable
    static var pattern: UInt128 { 0x100F_0E0D_0C0B_0A09_0807_0605_0403_0201 }

    /// Writes `length` (0...15) bytes of padding, then the pad length and the next header. Always writes 16 bytes, and
    /// two more: the rest is overwritten by the ICV.
    @inlinable
    @inline(__always)
    public static func write(at end: UnsafeMutableRawPointer, length: Int, nextHeader: UInt8) {
        end.storeBytes(of: pattern.littleEndian, as: UInt128.self)
        let trailer = UInt16(truncatingIfNeeded: length) | UInt16(nextHeader) << 8
        end.storeBytes(of: trailer.littleEndian, toByteOffset: length, as: UInt16.self)
    }

    /// Whether the `length` (0...255) bytes before `end` are 1, 2, 3, ...
    ///
    /// The time never depends on the bytes, and on the length only where it is not what `alignmentMask` (3 or 15) makes
    /// of it. 16 bytes before `end` have to be readable, whatever the length: they are of the packet or its headers.
    @inlinable
    @inline(__always)
    public static func isValid(before end: UnsafeRawPointer, length: UInt8, alignmentMask: UInt8) -> Bool {
        if alignmentMask == 3 && length <= 3 {
            // The padding is the upper end of the word; what lies below is shifted out. Shifted in two steps, because
            // by all 32 bits at once (no padding) is not defined.
            let rest = 24 &- UInt32(length) &* 8
            let bytes = UInt32(littleEndian: end.loadUnaligned(fromByteOffset: -4, as: UInt32.self))
            let expected = ((UInt32(truncatingIfNeeded: pattern) &<< rest) &<< 8)
            return (((bytes ^ expected) &>> rest) &>> 8) == 0
        }
        if length <= 15 {
            let rest = UInt128(120 &- UInt32(length) &* 8)
            let bytes = UInt128(littleEndian: end.loadUnaligned(fromByteOffset: -16, as: UInt128.self))
            return (((bytes ^ ((pattern &<< rest) &<< 8)) &>> rest) &>> 8) == 0
        }
        return isLongValid(before: end, length: length)
    }

    /// Padding of 16 bytes and more, with which a peer may hide lengths (RFC 4303 section 2.4).
    @usableFromInline
    @inline(never)
    static func isLongValid(before end: UnsafeRawPointer, length: UInt8) -> Bool {
        let start = end - Int(length)
        var difference: UInt8 = 0
        for offset in 0..<Int(length) {
            difference |= start.load(fromByteOffset: offset, as: UInt8.self) ^ UInt8(truncatingIfNeeded: offset &+ 1)
        }
        return difference == 0
    }
}
