import CLinux
import Dataplane
import Glibc
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
    private var handle: pthread_t?

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
        var started = pthread_t()
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(&started, nil, { WorkerThread.enter($0) }, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw GatewayError(
                .failure, "cannot start worker \(index): \(String(cString: strerror(code)))",
                remedy: "raise the limit of threads (ulimit -u, TasksMax=)")
        }
        handle = started
    }

    /// Ends the thread after its round, and waits for it.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        wakeUp.signal()
        if let handle { pthread_join(handle, nil) }
        handle = nil
    }

    /// Whether the worker has done a round: its fill rings hold frames.
    var hasStarted: Bool { statistics[.rounds] > 0 }

    private func run() {
        pthread_setname_np(pthread_self(), "sluice-w\(index)")
        guard var worker = worker.take() else { return }
        // A core that cannot be had is slower and no reason to stop; PortPlan has checked that the process may use it.
        _ = worker.run(configuration, stop: stopping, mailbox: mailbox)
    }

    private static func enter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        if let context { Unmanaged<WorkerThread>.fromOpaque(context).takeRetainedValue().run() }
        return nil
    }
}
