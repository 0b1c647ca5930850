import Packets
import Synchronization
import Telemetry

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
