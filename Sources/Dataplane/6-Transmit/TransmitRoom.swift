import IPsec
import Policy
import Telemetry
import XDP

/// Room in transmit rings is asked for before the work that it is for: a packet that could not leave is not encrypted, and
/// uses up no sequence number.
///
/// Asked for a batch as a whole, which costs next to nothing. Only when a ring has not room for all is every packet asked
/// about; what it is promised then, nothing else gets.
extension Worker {
    /// Whether every port has room for so many packets.
    @inline(__always)
    func hasRoom(for count: Int) -> Bool {
        var isRoomy = true
        var port = 0
        while port < portCount {
            isRoomy = ports[port].hasRoom(for: count) && isRoomy
            port &+= 1
        }
        return isRoomy
    }

    /// Before a batch of so many packets: rings that may become full are emptied as far as the kernel is ready for it.
    @inline(__always)
    mutating func makeRoom(for count: Int) {
        if !hasRoom(for: count) { relieve(count) }
    }

    /// Shows the kernel what is staged, asks it to send, and takes back what it has sent: without places in the completion ring
    /// it does not go on. One system call a port at most.
    @inline(never)
    private mutating func relieve(_ count: Int) {
        var port = 0
        while port < portCount {
            if !ports[port].hasRoom(for: count) {
                reclaim(port)
                transmit(port)
            }
            port &+= 1
        }
    }

    /// The place of one packet that is to be sealed, in the ring of the port that it leaves by. False when there is none. Whoever
    /// waits for a neighbour, or ends there, needs none.
    @inline(never)
    mutating func promiseRoom(_ slot: UnsafeMutablePointer<PacketSlot>, sa: UnsafeMutablePointer<OutboundRuntime>)
        -> Bool
    {
        guard let hop = slot.pointee.nextHop, hop.pointee.isResolved else { return true }
        let port = portNumber(of: hop)
        guard port >= 0, port < portCount else { return true }
        let needed = slot.pointee.flags.contains(.outgrowsPath) ? Worker.outerFragments(sa) : 1
        guard ports[port].hasRoom(for: needed) else { return false }
        ports[port].promise(needed)
        return true
    }

    /// The packets take their places now.
    @inline(never)
    mutating func endPromises() {
        var port = 0
        while port < portCount {
            ports[port].endPromises()
            port &+= 1
        }
    }

    /// Fragments at most of a sealed packet that outgrows its path.
    private static func outerFragments(_ sa: UnsafeMutablePointer<OutboundRuntime>) -> Int {
        let pathMTU = Int(sa.pointee.pathMTU)
        // The headers of a fragment over IPv6; data in units of eight bytes.
        let data = max((pathMTU &- 48) & ~7, 8)
        var left = smallestIPv6MTU &+ OutboundRuntime.maximumHeadroom &+ OutboundRuntime.maximumTailroom
        var fragments = 1
        while left > max(pathMTU, data) {
            left &-= data
            fragments &+= 1
        }
        return fragments
    }
}
