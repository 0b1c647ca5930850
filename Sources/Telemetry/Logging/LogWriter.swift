import Logging
import Platform
import Synchronization

/// Writes log lines on a thread of its own, so that nobody who logs ever waits for whoever reads the log. What does not
/// fit into the queue is dropped and counted, and a line says how many that were once there is room again.
public final class LogWriter: Sendable {
    /// A line that waits, made into text only when it is written.
    private struct Waiting: Sendable {
        let record: LogRecord
        let format: LogFormat
        let descriptor: Int32
    }

    private struct State {
        var waiting: [Waiting] = []
        var dropped: UInt64 = 0
        /// All time, for whoever wants to know.
        var droppedInAll: UInt64 = 0
        /// Lines that were taken out and are not written yet.
        var isWriting = false
        var hasThread = false
    }

    /// The one that all handlers of the process share.
    public static let shared = LogWriter()

    /// Lines that may wait: some megabytes at most.
    public static let capacity = 8192

    private let state = Mutex(State())
    /// Counts up when lines come; the writer's thread waits for that.
    private let signal = Signal()

    /// Lines that were never written because nobody read the log.
    public var dropped: UInt64 { state.withLock { $0.droppedInAll } }

    /// Takes a line. Never waits.
    func write(_ record: LogRecord, format: LogFormat, descriptor: Int32) {
        let isFirst = state.withLock { state in
            guard state.waiting.count < Self.capacity else {
                state.dropped += 1
                state.droppedInAll += 1
                return false
            }
            state.waiting.append(Waiting(record: record, format: format, descriptor: descriptor))
            guard !state.hasThread else { return false }
            state.hasThread = true
            return true
        }
        if isFirst { begin() }
        signal.raise()
    }

    /// Waits until all lines so far are written, but no longer than so many milliseconds.
    public func flush(within milliseconds: Int = 1000) {
        for _ in 0..<max(milliseconds, 1) {
            if state.withLock({ $0.waiting.isEmpty && !$0.isWriting }) { return }
            SystemClock.sleep(microseconds: 1000)
        }
    }

    // MARK: - The thread

    /// Starts the thread with the first line. At the end of the process what waits is written.
    private func begin() {
        guard let thread = try? SystemThread("sluice-log", { self.run() }) else {
            // Without a thread the next line tries again.
            return state.withLock { $0.hasThread = false }
        }
        thread.detach()
        CurrentProcess.atExit { LogWriter.shared.flush() }
    }

    private func run() {
        while true {
            signal.wait()
            let (lines, dropped) = state.withLock { state in
                defer {
                    state.isWriting = !state.waiting.isEmpty
                    state.waiting = []
                    state.dropped = 0
                }
                return (state.waiting, state.dropped)
            }
            for line in lines { Self.write(line.format.line(line.record), to: line.descriptor) }
            if dropped > 0, let last = lines.last { report(dropped, after: last) }
            state.withLock { $0.isWriting = false }
        }
    }

    private func report(_ dropped: UInt64, after line: Waiting) {
        let record = LogRecord(
            nanoseconds: line.record.nanoseconds, level: .warning, component: "log",
            message: "\(dropped) lines were not written: they came faster than the log was read")
        Self.write(line.format.line(record), to: line.descriptor)
    }

    /// Writes all of the line, as long as it takes. A log that cannot be written is given up: there is nowhere to say so.
    private static func write(_ line: String, to descriptor: Int32) {
        var line = line
        line.withUTF8 { bytes in try? Descriptor.writeAll(UnsafeRawBufferPointer(bytes), to: descriptor) }
    }
}

/// A signal that a thread sleeps on.
private final class Signal: Sendable {
    private let counter = try? EventCounter(isNonBlocking: false)

    func raise() { counter?.signal() }

    func wait() {
        if counter == nil {
            // Without a descriptor there is nothing to sleep on but the clock.
            SystemClock.sleep(microseconds: 10_000)
        } else {
            counter?.clear()
        }
    }
}
