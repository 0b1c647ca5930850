import IKEv2
import NIOCore

/// Lets strangers' datagrams in as long as they take no more than their share of the event loop; what is not read stays in
/// the kernel's queue, and is lost there when that is full. Belongs to the loop.
final class StrangerGate {
    private let eventLoop: any EventLoop
    private let clock: () -> UInt64
    private let processorTime: () -> UInt64
    private var budget = WorkBudget(shareInPercent: 40, reserveInMilliseconds: 20)
    /// Processor time at the beginning of the round of reading that is under way.
    private var begun: UInt64?

    /// - Parameters:
    ///   - clock: monotonic nanoseconds.
    ///   - processorTime: nanoseconds that the calling thread has worked.
    init(
        on eventLoop: any EventLoop, clock: @escaping () -> UInt64,
        processorTime: @escaping () -> UInt64 = { ThreadTime.now }
    ) {
        self.eventLoop = eventLoop
        self.clock = clock
        self.processorTime = processorTime
    }

    /// A datagram was read and is going to be handled.
    func began() { if begun == nil { begun = processorTime() } }

    /// The round of reading is over. Calls `readOn` when there is room for another one, never at once: what others have
    /// to do, and what the round sends, comes first and is paid for.
    func ended(_ readOn: @escaping () -> Void) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let next = NIOLoopBound(readOn, eventLoop: eventLoop)
        eventLoop.execute {
            let gate = bound.value
            if let begun = gate.begun {
                let ended = gate.processorTime()
                gate.budget.charge(ended > begun ? ended - begun : 0, at: gate.clock())
                gate.begun = nil
            }
            let wait = gate.budget.wait(at: gate.clock())
            if wait == 0 { return next.value() }
            gate.eventLoop.scheduleTask(in: .nanoseconds(Int64(clamping: wait))) { next.value() }
        }
    }
}
