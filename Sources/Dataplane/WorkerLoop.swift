import Platform
import Synchronization
import Telemetry

/// Options for a worker's thread.
public struct WorkerLoopConfiguration: Sendable {
    /// The core to run on; nil leaves it to the scheduler.
    public var core: Int?
    /// Never sleep, and make the drivers poll.
    public var busyPoll = false
    /// Rounds without work before the thread sleeps.
    public var idleRounds = 64
    /// The longest sleep in milliseconds: bounds how late a lost wake-up or a deadline can be noticed.
    public var longestSleepInMilliseconds: Int32 = 20

    public init(core: Int? = nil, busyPoll: Bool = false) {
        self.core = core
        self.busyPoll = busyPoll
    }
}

extension Worker {
    /// Runs rounds until `stop` is set: pinned, awake while there is work, asleep in `poll` otherwise.
    /// Returns 0, or the errno value of pinning, which is no reason to stop.
    /// - `mailbox`: where queues come from that take the place of others.
    public mutating func run(
        _ loop: WorkerLoopConfiguration, stop: borrowing Atomic<Bool>, mailbox: PortMailbox = PortMailbox()
    ) -> Int32 {
        var failure: Int32 = 0
        if let core = loop.core {
            do throws(Errno) { try Cores.pin(to: core) } catch { failure = error.rawValue }
        }
        var idle = 0
        while !stop.load(ordering: .relaxed) {
            if mailbox.hasMail { exchangeQueues(mailbox, now: Worker.clock()) }
            if poll(now: Worker.clock()) > 0 {
                idle = 0
                continue
            }
            idle += 1
            if loop.busyPoll {
                wakeReceivers(busyPolling: true)
            } else if idle >= loop.idleRounds {
                sleep(atMost: loop.longestSleepInMilliseconds)
                idle = 0
            }
        }
        drain()
        return failure
    }

    /// Waits for packets that engines keep: they write into memory that goes with the worker. Bounded, as no engine takes long.
    private mutating func drain() {
        let deadline = Worker.clock() &+ Worker.patienceForEnginesInNanoseconds
        while isInFlight, Worker.clock() < deadline {
            context.now = Worker.clock()
            _ = goOn()
            context.ports.transmitStaged()
        }
    }

    private static var patienceForEnginesInNanoseconds: UInt64 { 1_000_000_000 }

    /// The dataplane's clock: CLOCK_BOOTTIME in nanoseconds, read without a system call. It goes on while the machine is
    /// suspended, so that SAs do not live longer for that.
    public static func clock() -> UInt64 { SystemClock.sinceBoot() }

    private static var patienceForUnsentInMilliseconds: Int32 { 1 }

    /// Asks drivers to look at the fill rings.
    private mutating func wakeReceivers(busyPolling: Bool) {
        for port in 0..<context.ports.count {
            context.ports.queue(port).pointee.rings.wakeReceive(busyPolling: busyPolling)
        }
    }

    /// Sleeps until a packet arrives, something is handed over, or the time is up.
    private mutating func sleep(atMost milliseconds: Int32) {
        let wakeUp = context.handover.wakeUp
        wakeUp.announce()
        context.reader.offline()
        defer {
            context.reader.online()
            wakeUp.clear()
        }
        // Work that came before the announcement would not wake us.
        if context.handover.hasWork() { return }
        // The announcement has made visible what was submitted: whoever overlooked it wants to be asked by now. Nothing wakes us
        // when the kernel can take more.
        let atMost =
            context.ports.kickUnsent() ? min(milliseconds, Worker.patienceForUnsentInMilliseconds) : milliseconds
        context.count(.sleeps)
        descriptors.wait(atMostMilliseconds: atMost)
    }
}
