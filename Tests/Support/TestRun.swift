import CTestLinux
import Foundation
import Synchronization

/// This run of the tests: unique names, a scratch directory, and the lock that tells a later run whether this one lives.
///
/// Whatever a run makes carries its name, so that `sweep.sh` can remove what a killed run left behind, and only that.
public final class TestRun: Sendable {
    /// The one run of this process.
    public static let current = TestRun()

    /// A name that no other live run on this machine has, e.g. `slt4711`. Short, because it begins other names.
    public let name: String

    /// A directory for sockets and configuration files, removed at the end of the process.
    public let directory: URL

    /// Where the output of started programs is kept; `SLUICE_TEST_LOGS` or inside `directory`.
    public let logDirectory: URL

    private let counter = Atomic<Int>(0)
    private let lock: Int32

    private init() {
        name = "slt\(getpid())"
        let base = URL(filePath: "/run/sluice-tests")
        directory = base.appending(path: name)
        if let logs = ProcessInfo.processInfo.environment["SLUICE_TEST_LOGS"] {
            logDirectory = URL(filePath: logs)
        } else {
            logDirectory = directory.appending(path: "logs")
        }
        TestRun.sweep()
        for path in [directory, logDirectory] {
            try? FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
        }
        lock = open("\(base.path)/\(name).lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        _ = sluice_test_lock(lock)
        atexit { TestRun.current.finish() }
    }

    /// A number that this process gives out once.
    public func next() -> Int { counter.add(1, ordering: .relaxed).newValue }

    /// A path for a new scratch file whose name ends in `suffix`.
    public func scratchPath(_ suffix: String) -> String { directory.appending(path: "\(next())-\(suffix)").path }

    /// Writes `text` to a new scratch file and returns its path.
    public func scratchFile(_ suffix: String, _ text: String) throws -> String {
        let path = scratchPath(suffix)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func finish() {
        close(lock)
        TestRun.sweep()
    }

    /// Removes what dead runs left.
    private static func sweep() {
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "sweep.sh").path
        let sweeper = Process()
        sweeper.executableURL = URL(filePath: "/bin/bash")
        sweeper.arguments = [script]
        guard (try? sweeper.run()) != nil else { return }
        sweeper.waitUntilExit()
    }
}
