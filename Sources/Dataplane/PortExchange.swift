import Synchronization
import Telemetry
import XDP

/// A queue of a port that came back as another interface, on its way to the worker that served it before.
public final class PortExchange: Sendable {
    /// The port's number in snapshots.
    public let portIndex: UInt16
    /// The index of the worker's queue of that port that it replaces.
    public let ordinal: Int
    /// The time at which the worker stops waiting for packets that the old interface has not reported as sent, in
    /// nanoseconds.
    public let deadline: UInt64
    let queue: WorkerQueue
    private let result = Atomic<Int>(-1)

    public init(portIndex: UInt16, ordinal: Int, deadline: UInt64, queue: WorkerQueue) {
        self.portIndex = portIndex
        self.ordinal = ordinal
        self.deadline = deadline
        self.queue = queue
    }

    /// Frames that the old interface kept; nil: the worker has not exchanged the queue yet.
    public var lostFrames: Int? {
        let lost = result.load(ordering: .acquiring)
        return lost < 0 ? nil : lost
    }

    func finish(lost: Int) { result.store(max(lost, 0), ordering: .releasing) }
}

/// Queues for one worker, which looks between two rounds whether there are any.
public final class PortMailbox: Sendable {
    private let waiting = Mutex<[PortExchange]>([])
    private let count = Atomic<Int>(0)

    public init() {}

    /// Posts an exchange; called by the control side.
    public func post(_ exchange: PortExchange) {
        waiting.withLock { list in
            list.append(exchange)
            count.store(list.count, ordering: .relaxed)
        }
    }

    /// Whether something waits: one load, and no more.
    var hasMail: Bool { count.load(ordering: .relaxed) != 0 }

    /// All that waits. What `putBack` does not get again is done.
    func take() -> [PortExchange] {
        waiting.withLock { list in
            defer {
                list = []
                count.store(0, ordering: .relaxed)
            }
            return list
        }
    }
}

extension Worker {
    /// Exchanges the queues that wait in the mailbox. Between two rounds, so nothing is staged; a rare thing, so it may lock.
    @inline(never)
    mutating func exchangeQueues(_ mailbox: PortMailbox, now: UInt64) {
        for exchange in mailbox.take() where !self.exchange(exchange, now: now) { mailbox.post(exchange) }
    }

    /// Takes the old queue's frames back and serves the new one. False when the old interface's packets are still on their way.
    mutating func exchange(_ exchange: PortExchange, now: UInt64) -> Bool {
        var number = 0
        var ordinal = exchange.ordinal
        while number < context.ports.count {
            if context.ports.queue(number).pointee.portIndex == exchange.portIndex {
                if ordinal == 0 { break }
                ordinal -= 1
            }
            number += 1
        }
        guard number < context.ports.count else {
            exchange.finish(lost: 0)
            return true
        }
        let port = context.ports.queue(number)
        if port.pointee.rings.sending > 0, now < exchange.deadline { return false }
        let lost = port.pointee.rings.giveBack(to: &context.pool)
        port.pointee.replace(exchange.queue.take())
        descriptors.replace(number, by: port.pointee.rings.fileDescriptor)
        exchange.finish(lost: lost)
        return true
    }
}
