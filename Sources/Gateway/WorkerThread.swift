import Dataplane
import Synchronization

/// A worker on a thread of its own, `sluice-w0` and so on.
final class WorkerThread: @unchecked Sendable {
    let index: Int
    let core: Int
    let statistics: WorkerStatistics
    private let wakeUp: WakeUp
    private let mailbox: PortMailbox
    private let stopping = Atomic<Bool>(false)
    /// Handed to the thread, which takes it out.
    private var worker: Worker?
    private var configuration: WorkerLoopConfiguration
    private var thread: NamedThread?

    init(
        _ worker: consuming Worker, index: Int, core: Int, busyPoll: Bool, statistics: WorkerStatistics, wakeUp: WakeUp,
        mailbox: PortMailbox
    ) {
        self.worker = consume worker
        self.index = index
        self.core = core
        self.statistics = statistics
        self.wakeUp = wakeUp
        self.mailbox = mailbox
        configuration = WorkerLoopConfiguration(core: core, busyPoll: busyPoll)
    }

    /// Starts the thread; to be called once.
    func start() throws(GatewayError) {
        thread = try NamedThread("sluice-w\(index)", purpose: "worker \(index)") { self.run() }
    }

    /// Ends the thread after its round, and waits for it.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeUp.signal()
        thread?.join()
        thread = nil
    }

    /// Whether the worker has done a round: its fill rings hold frames.
    var hasStarted: Bool { statistics[.rounds] > 0 }

    private func run() {
        guard var worker = worker.take() else { return }
        // A core that cannot be had is slower and no reason to stop; PortPlan has checked that the process may use it.
        _ = worker.run(configuration, stop: stopping, mailbox: mailbox)
    }
}
