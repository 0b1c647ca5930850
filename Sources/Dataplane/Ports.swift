import IPsec
import Packets
import Policy
import Telemetry
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

    /// Ends all promises: whoever was promised places takes them now, or does without.
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

/// The queues of one worker, and the room in their transmit rings.
///
/// Room is asked for before the work that it is for: a packet that could not leave is not encrypted, and uses up no sequence
/// number. Asked for a batch as a whole, which costs next to nothing. Only when a ring has not room for all is every packet asked
/// about; what it is promised then, nothing else gets.
struct Ports: ~Copyable {
    // A pointer comes first, see `HandoverEnds`. Methods that are not inlined are mutating, see `WorkerContext.hasRoomForFragments`.
    private let queues: UnsafeMutablePointer<WorkerPort>
    let count: Int
    /// Which queue sends for a port index of the snapshot; -1 for none.
    private let numberOfIndex: UnsafeMutablePointer<Int32>
    private let indexLimit: Int
    private let counters: CounterBlock

    init(_ queues: [WorkerQueue], counters: CounterBlock) {
        self.counters = counters
        count = queues.count
        self.queues = .allocate(capacity: max(queues.count, 1))
        indexLimit = (queues.map { Int($0.portIndex) }.max() ?? 0) + 1
        numberOfIndex = .allocate(capacity: indexLimit)
        numberOfIndex.initialize(repeating: -1, count: indexLimit)
        for (number, queue) in queues.enumerated() {
            let place = numberOfIndex + Int(queue.portIndex)
            (self.queues + number).initialize(
                to: WorkerPort(rings: queue.take(), portIndex: queue.portIndex, roles: queue.roles))
            if place.pointee < 0 { place.pointee = Int32(number) }
        }
    }

    deinit {
        queues.deinitialize(count: count)
        queues.deallocate()
        numberOfIndex.deallocate()
    }

    /// One of the queues; `number` is less than `count`.
    ///
    /// A pointer: under ThreadSanitizer the compiler takes an element for a use of the whole worker.
    @inline(__always)
    func queue(_ number: Int) -> UnsafeMutablePointer<WorkerPort> { queues + number }

    /// Which queue sends for a next hop; -1 for none.
    @inline(__always)
    func number(of hop: UnsafePointer<NextHop>) -> Int { number(ofIndex: hop.pointee.portIndex) }

    /// Which queue sends for a port of the snapshot; -1 for none.
    @inline(__always)
    func number(ofIndex portIndex: UInt16) -> Int {
        Int(portIndex) < indexLimit ? Int(numberOfIndex[Int(portIndex)]) : -1
    }

    @inline(__always)
    private func count(_ counter: WorkerCounter, _ amount: UInt64 = 1) { counters[counter.rawValue].add(amount) }

    // MARK: Frames

    /// Takes back the frames of sent packets, and gives a queue up to `limit` free ones for packets to come.
    @inline(__always)
    mutating func reclaimAndRefill(_ number: Int, pool: inout FramePool, upTo limit: Int) {
        let queue = queue(number)
        Ports.reclaim(queue, pool: &pool)
        _ = pool.refill(&queue.pointee.rings.fill, upTo: limit)
        if queue.pointee.rings.fill.needsWakeup { wakeReceiver(queue) }
    }

    /// Takes back the frames of all sent packets. One round sends what several queues and workers brought, so any smaller
    /// number would sooner or later leave the kernel no place for more, and it would stop sending.
    @inline(__always)
    private static func reclaim(_ queue: UnsafeMutablePointer<WorkerPort>, pool: inout FramePool) {
        _ = pool.reclaim(&queue.pointee.rings.completion, upTo: queue.pointee.rings.completion.capacity)
    }

    /// A driver that had run out of frames looks at the fill ring again only when asked, however busy other ports are.
    @inline(never)
    private mutating func wakeReceiver(_ queue: UnsafeMutablePointer<WorkerPort>) {
        guard queue.pointee.rings.fileDescriptor >= 0, queue.pointee.rings.fill.pending > 0 else { return }
        count(.receiveWakeUps)
        queue.pointee.rings.wakeReceive()
    }

    // MARK: Room

    /// Whether every queue has room for so many packets.
    @inline(__always)
    func hasRoom(for packets: Int) -> Bool {
        var isRoomy = true
        var number = 0
        while number < count {
            isRoomy = queue(number).pointee.hasRoom(for: packets) && isRoomy
            number &+= 1
        }
        return isRoomy
    }

    /// Whether the queue that sends for a next hop has room for so many packets. What has no queue needs none.
    @inline(__always)
    func hasRoom(for packets: Int, towards hop: UnsafePointer<NextHop>) -> Bool {
        let number = number(of: hop)
        return number < 0 || number >= count || queue(number).pointee.hasRoom(for: packets)
    }

    /// Before a batch of so many packets: rings that may become full are emptied as far as the kernel is ready for it.
    @inline(__always)
    mutating func makeRoom(for packets: Int, pool: inout FramePool) {
        if !hasRoom(for: packets) { relieve(packets, pool: &pool) }
    }

    /// Shows the kernel what is staged, asks it to send, and takes back what it has sent: without places in the completion ring
    /// it does not go on. One system call a port at most.
    @inline(never)
    private mutating func relieve(_ packets: Int, pool: inout FramePool) {
        var number = 0
        while number < count {
            if !queue(number).pointee.hasRoom(for: packets) {
                Ports.reclaim(queue(number), pool: &pool)
                transmit(number)
            }
            number &+= 1
        }
    }

    /// Promises places in the ring of the queue that sends for a next hop. False when there are none. What has no queue needs none.
    @inline(__always)
    mutating func promise(_ packets: Int, towards hop: UnsafePointer<NextHop>) -> Bool {
        let number = number(of: hop)
        guard number >= 0, number < count else { return true }
        guard queue(number).pointee.hasRoom(for: packets) else { return false }
        queue(number).pointee.promise(packets)
        return true
    }

    /// The packets take their places now.
    @inline(never)
    mutating func endPromises() {
        var number = 0
        while number < count {
            queue(number).pointee.endPromises()
            number &+= 1
        }
    }

    // MARK: Transmit

    /// Writes a finished frame into a queue's transmit ring. When that is full the packet is to be dropped: waiting would
    /// hold up all other ports.
    @inline(__always)
    mutating func stage(_ descriptor: XDPDescriptor, number: Int) -> Verdict {
        guard number >= 0, number < count else { return .drop(.egressNotAPort) }
        return queue(number).pointee.stage(descriptor) ? .pass : .drop(.transmitRingFull)
    }

    /// Shows staged packets to the kernel, and asks it to send them where it wants to be asked.
    @inline(__always)
    mutating func transmitStaged() {
        var number = 0
        while number < count {
            transmit(number)
            number &+= 1
        }
    }

    /// The same for one queue. No room may be promised at the time.
    @inline(__always)
    private mutating func transmit(_ number: Int) {
        let queue = queue(number)
        let staged = queue.pointee.staged
        if staged != 0 {
            count(.transmitted, UInt64(truncatingIfNeeded: staged))
            queue.pointee.submit()
        }
        if queue.pointee.needsKick { kick(queue) }
    }

    /// One system call at most. What the kernel does not have yet is looked at again in the next round: it did not take all,
    /// or it looked just before the last packets were shown, and waits to be asked since.
    private mutating func kick(_ queue: UnsafeMutablePointer<WorkerPort>) {
        if queue.pointee.rings.transmit.pending == 0 {
            queue.pointee.needsKick = false
            return
        }
        guard queue.pointee.rings.fileDescriptor >= 0, queue.pointee.rings.transmit.needsWakeup else { return }
        count(.kicks)
        queue.pointee.rings.kick()
    }

    /// Asks once more for all that is not sent. False when everything is.
    mutating func kickUnsent() -> Bool {
        var isUnsent = false
        var number = 0
        while number < count {
            let queue = queue(number)
            if queue.pointee.needsKick {
                kick(queue)
                isUnsent = isUnsent || queue.pointee.rings.transmit.pending > 0
            }
            number &+= 1
        }
        return isUnsent
    }
}
