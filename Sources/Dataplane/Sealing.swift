import CLinux
import Cryptography
import IPsec
import Packets
import Policy
import Telemetry

/// The steps of outbound packets behind the look-up of their SA, in their order:
///
/// 3. `prepare`: hop limit, size, room to send it, sequence number and headers (`OutboundKind.prepare`).
/// 4. `CipherBatches.run`: the cipher. What an engine does not do at once goes on later (`goOn`).
/// 5. `finish`, packet by packet: status, then `Routing.send`.
///
/// Steps 3 and 4 each walk a run of packets before the next one begins. A packet that has to be split first, or whose SA takes no
/// more, ends a run; so does one whose SA is of another kind.
struct Sealing: ~Copyable {
    private(set) var batches: CipherBatches

    init(_ configuration: WorkerConfiguration) { batches = CipherBatches(configuration) }

    /// Seals and sends packets up to one that has to be split first or to change its SA. `Run.taken` says how many it got
    /// through, that one included.
    @inline(__always)
    mutating func seal(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ routing: inout Routing, _ context: inout WorkerContext
    ) -> Run {
        let same = SARun(outbound: slots, count: count)
        switch same.kind {
        case .espTunnel: return seal(slots, count: same.count, by: ESPOutbound.self, &routing, &context)
        }
    }

    @inline(__always)
    private mutating func seal<Kind: OutboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) -> Run {
        let run =
            context.ports.hasRoom(for: count &+ batches.packets)
            ? seal(slots, count: count, isTight: false, by: kind, &routing, &context)
            : sealTight(slots, count: count, by: kind, &routing, &context)
        if run.last != .outgrowsPath { return run }
        let before = run.taken &- 1
        var last = sealTight(slots + before, count: 1, by: kind, &routing, &context)
        last.taken &+= before
        return last
    }

    /// Some port may not have room for all: each packet is promised its place.
    @inline(never)
    private mutating func sealTight<Kind: OutboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) -> Run {
        seal(slots, count: count, isTight: true, by: kind, &routing, &context)
    }

    @inline(__always)
    private mutating func seal<Kind: OutboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, isTight: Bool, by kind: Kind.Type,
        _ routing: inout Routing, _ context: inout WorkerContext
    ) -> Run {
        guard let batch = batches.next else { return refuse(slots, count: count, &context) }
        let run = prepare(slots, count: count, isTight: isTight, in: batch, by: kind, &routing, &context)
        if isTight { context.ports.endPromises() }
        if run.prepared == 0 { return run }
        batch.pointee.prepared(slots, count: run.prepared, kind: Kind.kind)
        if batches.run(batch) { finish(batch, by: kind, &routing, &context) }
        return run
    }

    /// All batches are in flight.
    @inline(never)
    private mutating func refuse(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, _ context: inout WorkerContext
    ) -> Run {
        var index = 0
        while index < count {
            context.drop(slots[index], .cipherOverload)
            index &+= 1
        }
        return Run(taken: count)
    }

    /// Sends the packets of a batch that was in flight and is done (`CipherBatches.nextDone`).
    @inline(never)
    mutating func goOn(
        _ batch: UnsafeMutablePointer<CipherBatch>, _ routing: inout Routing, _ context: inout WorkerContext
    ) {
        switch batch.pointee.kind {
        case .espTunnel: finish(batch, by: ESPOutbound.self, &routing, &context)
        }
    }

    /// A batch that is done and may go on.
    mutating func nextDone() -> UnsafeMutablePointer<CipherBatch>? { batches.nextDone() }

    /// Packets that go through the cipher side by side, and the one behind them that cannot.
    struct Run {
        /// Ready for the cipher.
        var prepared = 0
        /// Slots that were looked at.
        var taken = 0
        /// The outcome for the last of those.
        var last = Last.sealed
        /// Why its SA has refused it.
        var reason = DropReason.saRetired

        enum Last: UInt8, BitwiseCopyable {
            /// The packet is like the others: prepared, or its way has ended.
            case sealed
            /// The packet has to be split, and is not prepared.
            case toBeSplit
            /// The packet needs room for several, and is not prepared.
            case outgrowsPath
            /// Its SA takes no packet any more.
            case refused
        }
    }

    // MARK: 3. Before the cipher

    /// Everything before the cipher: hop limit, size, room to send it, sequence number, headers.
    @inline(__always)
    private mutating func prepare<Kind: OutboundKind>(
        _ slots: UnsafeMutablePointer<PacketSlot>, count: Int, isTight: Bool,
        in batch: UnsafeMutablePointer<CipherBatch>, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) -> Run {
        let operations = batch.pointee.operations
        let outers = batch.pointee.outers
        var kept = 0
        var index = 0
        while index < count {
            let slot = slots + index
            // Header, where the outer headers go, where the trailer goes.
            let ahead = slot + SlotBatch.lookAhead
            sluice_prefetch_write(ahead.pointee.packet)
            sluice_prefetch_write(ahead.pointee.packet - 64)
            sluice_prefetch_write(ahead.pointee.packet + Int(ahead.pointee.length))
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: OutboundRuntime.self)
            if !admit(slot, sa: sa, isTight: isTight, &routing, &context) {
                if slot.pointee.flags.isDisjoint(with: .ofRunEnds) { continue }
                let isSplit = slot.pointee.flags.contains(.exceedsTunnel)
                return Run(prepared: kept, taken: index, last: isSplit ? .toBeSplit : .outgrowsPath)
            }
            if isTight, !context.promiseRoom(slot, sa: sa) {
                context.drop(slot.pointee, .outputOverload)
                continue
            }
            let verdict = Kind.prepare(
                sa, inner: slot.pointee.packet, innerLength: Int(slot.pointee.length),
                trafficClass: slot.pointee.trafficClass, nextHeader: slot.pointee.nextHeader,
                dontFragment: slot.pointee.flags.contains(.dontFragment), now: context.now,
                operation: operations + kept, outer: &outers[kept])
            if let reason = verdict.reason {
                return Run(prepared: kept, taken: index, last: .refused, reason: reason)
            }
            ESPBatch.prepare(operations + kept)
            if kept &+ 1 != index { slots[kept] = slot.pointee }
            kept &+= 1
        }
        return Run(prepared: kept, taken: index)
    }

    /// Hop limit and size. False when the packet's way ended here, when it has to be split first, or when it needs more than one
    /// place in a ring and nobody is promised his (`isTight`).
    @inline(__always)
    private mutating func admit(
        _ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>, isTight: Bool,
        _ routing: inout Routing, _ context: inout WorkerContext
    ) -> Bool {
        if slot.pointee.flags.isDisjoint(with: .notToBeRouted) {
            guard HopLimit.decrement(slot.pointee.packet) else {
                routing.answer(slot.pointee, with: .timeExceeded, reason: .hopLimitExpired, &context)
                return false
            }
            slot.pointee.flags.insert(.forwarded)
        }
        let length = Int(slot.pointee.length)
        let fits =
            length <= Int(sa.pointee.mtu)
            && length &+ OutboundRuntime.maximumTailroom <= context.roomBehind(slot.pointee.packet)
            && context.roomBefore(slot.pointee.packet) >= OutboundRuntime.maximumHeadroom
        if fits { return true }
        if Fragmentation.mayOutgrowPath(slot, &context) {
            slot.pointee.flags.insert(.outgrowsPath)
            return isTight
        }
        refuseTooBig(slot, sa: sa, &routing, &context)
        return false
    }

    /// A packet that does not fit its tunnel: its sender is told the size that does (RFC 4301 section 8.2), or, where
    /// routers may fragment, it is marked to be fragmented before encryption. IPv6 is never told of less than 1280.
    @inline(never)
    private mutating func refuseTooBig(
        _ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) {
        let flags = slot.pointee.flags
        // The path has become narrower while the packet was split for it.
        if flags.contains(.piece) { return context.drop(slot.pointee, .tooBig) }
        guard flags.contains(.dontFragment) else {
            slot.pointee.flags.insert(.exceedsTunnel)
            return
        }
        let limit = Fragmentation.innerLimit(sa, context)
        let isIPv6 = AddressFamily(ofPacketAt: slot.pointee.packet) == .ipv6
        let mtu = isIPv6 ? max(limit, Fragmentation.smallestIPv6MTU) : limit
        routing.answer(
            slot.pointee, with: .packetTooBig(mtu: UInt32(truncatingIfNeeded: mtu)), reason: .tooBigSentICMP, &context)
    }

    // MARK: 5. Behind the cipher

    /// Everything after the cipher: status, link header, transmit ring.
    @inline(__always)
    private mutating func finish<Kind: OutboundKind>(
        _ batch: UnsafeMutablePointer<CipherBatch>, by kind: Kind.Type, _ routing: inout Routing,
        _ context: inout WorkerContext
    ) {
        let slots = batch.pointee.slots
        let count = batch.pointee.count
        let operations = batch.pointee.operations
        let outers = batch.pointee.outers
        defer { batch.pointee.end() }
        context.count(.protected, UInt64(truncatingIfNeeded: count))
        var index = 0
        while index < count {
            let slot = slots + index
            let outer = outers + index
            let operation = operations + index
            sluice_prefetch_write(slot[SlotBatch.lookAhead].packet - 64)
            index &+= 1
            guard let raw = slot.pointee.association else { continue }
            let sa = raw.assumingMemoryBound(to: OutboundRuntime.self)
            let verdict = Kind.finish(sa, operation: operation, outer: outer.pointee)
            if let reason = verdict.reason {
                context.drop(slot.pointee, reason)
                continue
            }
            slot.pointee.flags.insert(.sealed)
            slot.pointee.packet = outer.pointee.start
            slot.pointee.length = UInt32(truncatingIfNeeded: outer.pointee.length)
            if slot.pointee.flags.contains(.outgrowsPath) {
                routing.sendFragments(slot.pointee, sa: sa, &context)
            } else {
                routing.send(slot, &context)
            }
        }
    }
}
