import XDP

/// One worker's ends of all rings of the mesh, and what it owes to whom.
struct HandoverEnds: ~Copyable {
    // A pointer comes first: for ThreadSanitizer the compiler of Swift 6.3 takes the first field for the address of what is
    // changed through a pointer here, and breaks off at a number.
    let inboxes: UnsafeMutablePointer<ConsumerRing<HandoverEntry>>
    let outboxes: UnsafeMutablePointer<ProducerRing<HandoverEntry>>
    /// Frames received from each participant and not yet paid back.
    let owed: UnsafeMutablePointer<Int>
    /// Whether something was put into an outbox in this round.
    let touched: UnsafeMutablePointer<Bool>
    /// Keeps the rings and the descriptors behind `sleepers` open.
    private let mesh: HandoverMesh
    let participants: Int
    /// How to wake each participant: references without counting.
    private let sleepers: UnsafeMutablePointer<Unmanaged<WakeUp>>
    /// Wakes this participant.
    let wakeUp: WakeUp

    init(mesh: HandoverMesh, index: Int) {
        self.mesh = mesh
        wakeUp = mesh.wakeUp(of: index)
        participants = mesh.participants
        inboxes = .allocate(capacity: participants)
        outboxes = .allocate(capacity: participants)
        owed = .allocate(capacity: participants)
        touched = .allocate(capacity: participants)
        owed.initialize(repeating: 0, count: participants)
        touched.initialize(repeating: false, count: participants)
        sleepers = .allocate(capacity: participants)
        for other in 0..<participants {
            (inboxes + other).initialize(to: mesh.consumer(from: other, to: index))
            (outboxes + other).initialize(to: mesh.producer(from: index, to: other))
            (sleepers + other).initialize(to: .passUnretained(mesh.sleepers[other]))
        }
    }

    deinit {
        inboxes.deinitialize(count: participants)
        outboxes.deinitialize(count: participants)
        inboxes.deallocate()
        outboxes.deallocate()
        owed.deallocate()
        touched.deallocate()
        sleepers.deallocate()
    }

    var host: Int { participants &- 1 }

    /// Whether something waits in an inbox.
    mutating func hasWork() -> Bool {
        for other in 0..<participants where !inboxes[other].isEmpty() { return true }
        return false
    }

    /// Hands an entry over; false when the ring is full. `target` comes from a snapshot, so it is checked.
    mutating func send(_ entry: HandoverEntry, to target: Int) -> Bool {
        guard target >= 0, target < participants else { return false }
        guard outboxes[target].push(entry) else { return false }
        touched[target] = true
        return true
    }

    /// Pays back what is owed, in lumps, from the pool but never more than half of it.
    mutating func payBack(from pool: inout FramePool) {
        var other = 0
        while other < participants {
            let debt = owed[other]
            let due = min(debt, pool.count / 2)
            if due >= HandoverEnds.lump {
                var paid = 0
                while paid < due {
                    let frame = pool.pop()
                    if frame == FramePool.empty { break }
                    let entry = HandoverEntry(address: frame, length: 0, port: .max, kind: .freeFrame)
                    if !outboxes[other].push(entry) {
                        pool.push(frame)
                        break
                    }
                    paid &+= 1
                }
                owed[other] = debt &- paid
            }
            other &+= 1
        }
    }

    /// Frames are paid back in lumps of this size at least.
    static let lump = 16

    /// Wakes those who got something and sleep. Once per round.
    mutating func wakeTouched() {
        var other = 0
        while other < participants {
            if touched[other] {
                touched[other] = false
                sleepers[other]._withUnsafeGuaranteedRef { $0.signal() }
            }
            other &+= 1
        }
    }
}
