import Telemetry

/// Packets that the packets of a batch lead to and that the outbound policies are asked about: out of one tunnel and perhaps
/// into another, and ICMP errors about such packets. They go through the stages after the batch, in their order.
///
/// Each packet leads to one at most, and an ICMP error to none. So room for as many as a batch has is enough if it is there
/// when the batch begins.
extension Worker {
    /// As it would have come from a LAN: it starts at an Ethernet header.
    @inline(__always)
    mutating func processLater(_ slot: PacketSlot) {
        if derived.isFull { return drop(slot, .roundOverflow) }
        derived.append(slot)
    }

    /// To be called before a batch of so many packets.
    @inline(__always)
    mutating func makeRoomForDerived(_ count: Int) {
        if derived.count &+ count > derived.capacity { processDerived() }
    }

    /// All of them, and what they lead to in turn. Not to be called within a batch.
    @inline(never)
    mutating func processDerived() {
        while derived.count > 0 {
            let count = derived.takeFirst(into: derivedBatch)
            processOutbound(derivedBatch.slots, count: count)
        }
    }
}
