import Packets
import Policy
import Telemetry
import XDP

extension Worker {
    /// Puts the link header in front of an IP packet and stages it at the port of its next hop. A next hop without a
    /// link-layer address makes the packet wait.
    @inline(__always)
    mutating func send(_ slot: UnsafeMutablePointer<PacketSlot>) {
        guard let hop = slot.pointee.nextHop, hop.pointee.isResolved else { return sendLater(slot.pointee) }
        let packet = slot.pointee.packet
        hop.pointee.writeLinkHeader(before: packet, family: packet.load(as: UInt8.self) >> 4 == 4 ? .ipv4 : .ipv6)
        let linkLength = Int(hop.pointee.linkHeaderLength)
        let link = packet - linkLength
        let length = linkLength &+ Int(slot.pointee.length)
        // The slot is copied where the packet is dropped, and nowhere else: its fields were just written one by one, and
        // reading them as a whole would wait for the stores.
        if let reason = stage(link, length: length, port: portNumber(of: hop)).reason { drop(slot.pointee, reason) }
    }

    /// Which of this worker's queues sends for a next hop; -1 for none.
    @inline(__always)
    func portNumber(of hop: UnsafePointer<NextHop>) -> Int { portNumber(ofIndex: hop.pointee.portIndex) }

    /// Which of this worker's queues sends for a port of the snapshot; -1 for none.
    @inline(__always)
    func portNumber(ofIndex portIndex: UInt16) -> Int {
        Int(portIndex) < portIndexLimit ? Int(portOfIndex[Int(portIndex)]) : -1
    }

    /// Writes a finished frame into a port's transmit ring. When that is full the packet is to be dropped: waiting would
    /// hold up all other ports.
    @inline(__always)
    mutating func stage(_ start: UnsafeMutableRawPointer, length: Int, port: Int) -> Verdict {
        guard port >= 0, port < portCount else { return .drop(.egressNotAPort) }
        let descriptor = XDPDescriptor(address: address(of: start), length: UInt32(truncatingIfNeeded: length))
        return ports[port].stage(descriptor) ? .pass : .drop(.transmitRingFull)
    }

    /// Shows staged packets to the kernel, and asks it to send them where it wants to be asked.
    @inline(__always)
    mutating func transmitStaged() {
        var port = 0
        while port < portCount {
            transmit(port)
            port &+= 1
        }
    }

    /// The same for one port. No room may be promised at the time.
    @inline(__always)
    mutating func transmit(_ port: Int) {
        let staged = ports[port].staged
        if staged != 0 {
            count(.transmitted, UInt64(truncatingIfNeeded: staged))
            ports[port].submit()
        }
        if ports[port].needsKick { kick(port) }
    }

    /// One system call at most. What the kernel does not have yet is looked at again in the next round: it did not take all,
    /// or it looked just before the last packets were shown, and waits to be asked since.
    private mutating func kick(_ port: Int) {
        if ports[port].rings.transmit.pending == 0 {
            ports[port].needsKick = false
            return
        }
        guard ports[port].rings.fileDescriptor >= 0, ports[port].rings.transmit.needsWakeup else { return }
        count(.kicks)
        ports[port].rings.kick()
    }

    /// Asks once more for all that is not sent. False when everything is.
    mutating func kickUnsent() -> Bool {
        var isUnsent = false
        var port = 0
        while port < portCount {
            if ports[port].needsKick {
                kick(port)
                isUnsent = isUnsent || ports[port].rings.transmit.pending > 0
            }
            port &+= 1
        }
        return isUnsent
    }
}
