import XDP

/// One queue of one port, as one worker holds it.
struct WorkerPort: ~Copyable {
    var rings: SocketRings
    /// The number of the port in snapshots (`NextHop.portIndex`); several queues of a worker may belong to one port.
    let portIndex: UInt16
    let roles: PortRoles
    /// Index into the transmit ring of the first packet that is staged but not submitted.
    var stagedIndex: UInt32 = 0
    /// Packets staged since the last submission.
    var staged = 0
    /// Places in the transmit ring known to be free, those of staged packets included, those that were promised not.
    var room = 0
    /// Places that packets on their way through the cipher will take: nobody else gets them.
    private(set) var promised = 0
    /// Packets were submitted, and when last looked at the kernel did not have them all: it may have to be asked.
    var needsKick = false

    init(rings: consuming SocketRings, portIndex: UInt16, roles: PortRoles) {
        self.rings = rings
        self.portIndex = portIndex
        self.roles = roles
    }

    /// Goes on with other rings; nothing may be staged.
    mutating func replace(_ rings: consuming SocketRings) {
        self.rings = rings
        stagedIndex = 0
        staged = 0
        room = 0
        needsKick = false
    }

    /// Whether the transmit ring has room for so many more packets, beside those that are staged and those that were promised
    /// it.
    @inline(__always)
    mutating func hasRoom(for count: Int) -> Bool {
        let wanted = staged &+ count
        if wanted > room { findRoom(for: wanted) }
        return wanted <= room
    }

    @inline(__always)
    private mutating func findRoom(for wanted: Int) {
        let (index, free) = rings.transmit.reserve(upTo: wanted &+ promised)
        stagedIndex = index
        room = free &- promised
    }

    /// Keeps places for packets that come later. `hasRoom` was asked before.
    mutating func promise(_ count: Int) {
        promised &+= count
        room &-= count
    }

    /// Whoever was promised places takes them now, or does without.
    mutating func endPromises() {
        room &+= promised
        promised = 0
    }

    /// Writes one packet into the transmit ring without showing it to the kernel; false when the ring is full.
    @inline(__always)
    mutating func stage(_ descriptor: XDPDescriptor) -> Bool {
        if staged >= room {
            findRoom(for: staged &+ WorkerPort.reservation)
            if staged >= room { return false }
        }
        rings.transmit.write(descriptor, at: stagedIndex &+ UInt32(truncatingIfNeeded: staged))
        staged &+= 1
        return true
    }

    private static var reservation: Int { 64 }

    /// Shows the staged packets to the kernel.
    @inline(__always)
    mutating func submit() {
        if staged == 0 { return }
        rings.transmit.submit(staged)
        staged = 0
        room = 0
        needsKick = true
    }
}
