import Packets
import TestSupport
import Testing
import XDP

@testable import Dataplane

/// The stores of waiting packets and what a worker tells the control thread, by themselves.
@Suite struct WaitingTests {
    /// What a walk puts back keeps its order; the rest is gone.
    @Test func walk() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        var store = WaitingPackets<UInt32>(capacity: 4)
        for number in 0..<4 as Range<UInt32> {
            check(!store.isFull)
            store.append(
                WaitingPackets.Entry(
                    slot: PacketSlot(start: memory, length: number, port: 1), since: UInt64(number), subject: number))
        }
        check(store.isFull)
        let count = store.beginWalk()
        check(count == 4 && store.count == 0)
        for index in 0..<count {
            let entry = store[index]
            check(entry.subject == UInt32(index) && entry.slot.length == UInt32(index))
            if entry.subject % 2 == 1 { store.append(entry) }
        }
        check(store.count == 2 && store[0].subject == 1 && store[1].subject == 3 && store[1].since == 3)
        let removed = store.remove(at: 0)
        check(removed.subject == 1 && store.count == 1 && store[0].subject == 3)
    }

    /// The load of each requester follows what comes, goes and is put back: the oldest packet of the greediest makes room.
    @Test func loadsFollow() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        var queue = NeighbourQueue(capacity: 4)
        var next: UInt64 = 0
        func entry(_ requester: UInt32) -> WaitingPackets<WantedNeighbour>.Entry {
            next += 1
            return WaitingPackets.Entry(
                slot: PacketSlot(start: memory, length: UInt32(next), port: 1), since: next,
                subject: WantedNeighbour(neighbour: next, requester: requester, isForLAN: false))
        }
        for requester in [1, 2, 2, 2] as [UInt32] { check(queue.append(entry(requester)) == nil) }
        check(queue.append(entry(1))?.length == 2, "the oldest of 2")
        let count = queue.beginWalk()
        for index in 0..<count where queue[index].subject.requester == 1 { queue.keep(queue[index]) }
        check(queue.count == 2)
        for requester in [3, 4] as [UInt32] { check(queue.append(entry(requester)) == nil) }
        check(queue.append(entry(5))?.length == 1, "now 1 has most")
    }

    /// One subject is told of once in a while, others at once; what finds a full ring is told later.
    @Test func acquires() {
        let ring = SPSCRing<WorkerEvent>(capacity: 2)
        var reader = ring.consumer()
        var events = ControlEvents(ring.producer(), interval: 100)
        let packet = PacketSummary(
            source: SitePlan(1).host(.ipv4), destination: SitePlan(2).host(.ipv4), upperProtocol: IPProtocol.udp,
            sourcePort: 7, destinationPort: 8)
        events.acquire(requestID: 1, for: packet, now: 1)
        events.acquire(requestID: 1, for: packet, now: 100)
        events.acquire(requestID: 2, for: packet, now: 100)
        events.acquire(requestID: 3, for: packet, now: 100)
        let first = reader.pop()
        check(first?.kind == .acquire && first?.number == 1 && first?.source == packet.source)
        check(first?.address == packet.destination && first?.sourcePort == 7 && first?.destinationPort == 8)
        check(reader.pop()?.number == 2 && reader.pop() == nil, "no room for the third")
        events.acquire(requestID: 3, for: packet, now: 101)
        events.acquire(requestID: 1, for: packet, now: 101)
        check(reader.pop()?.number == 3 && reader.pop()?.number == 1 && reader.pop() == nil)
    }

    /// Neighbours leave half of the ring to the others.
    @Test func neighboursLeaveRoom() {
        let ring = SPSCRing<WorkerEvent>(capacity: 8)
        var reader = ring.consumer()
        var events = ControlEvents(ring.producer(), interval: 100)
        let sender = SitePlan(1).host(.ipv4)
        for last in 2..<12 as Range<UInt32> {
            _ = events.neighbourWanted(
                SitePlan(2).host(.ipv4, last), interfaceIndex: 1, requester: 1, sender: sender, now: 1)
        }
        var told: [UInt32] = []
        while let event = reader.pop() {
            check(event.kind == .neighbourWanted && event.source == sender && event.requester == 1)
            told.append(UInt32(truncatingIfNeeded: event.address.low & 0xFF))
        }
        check(told == [2, 3, 4, 5])
        events.mappingChanged(spi: 5, to: sender, port: 4500, now: 1)
        events.mappingChanged(spi: 5, to: sender, port: 4500, now: 2)
        events.mappingChanged(spi: 5, to: sender, port: 4501, now: 2)
        events.unknownSPI(6, from: sender, now: 2)
        check(reader.pop()?.sourcePort == 4500 && reader.pop()?.sourcePort == 4501)
        let unknown = reader.pop()
        check(unknown?.kind == .unknownSPI && unknown?.number == 6 && unknown?.address == sender)
        check(reader.pop() == nil)
    }
}
