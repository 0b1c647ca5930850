import Foundation
import Synchronization

/// How a process ended.
public enum ProcessEnd: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)
}

/// A program that a test started. It leads a process group of its own and ends, at the latest, with this object.
///
/// Output goes to files, so no reader has to keep up and it is there after a crash of the test.
public final class RunningProcess: Sendable {
    public let arguments: [String]
    public let processID: pid_t
    public let outputFile: URL
    public let errorFile: URL
    private let end = Mutex<ProcessEnd?>(nil)

    /// Starts `arguments[0]`, found in `PATH`, with nothing on its standard input unless `input` names a file.
    public init(
        _ arguments: [String], in namespace: NetworkNamespace? = nil, environment: [String: String] = [:],
        input: String = "/dev/null", name: String? = nil
    ) throws {
        self.arguments = arguments
        let label =
            "\(TestRun.current.name)-\(TestRun.current.next())-\(name ?? (arguments[0] as NSString).lastPathComponent)"
        outputFile = TestRun.current.logDirectory.appending(path: label + ".out")
        errorFile = TestRun.current.logDirectory.appending(path: label + ".err")
        let full = namespace.map { ["ip", "netns", "exec", $0.name] + arguments } ?? arguments
        processID = try Self.spawn(
            full, environment: environment, input: input, output: outputFile.path, error: errorFile.path)
    }

    deinit { kill() }

    /// What the program has written to its standard output so far.
    public var output: String { Self.text(outputFile) }

    /// What the program has written to its standard error so far.
    public var errors: String { Self.text(errorFile) }

    /// The end of both outputs, for error messages.
    public var outputForHumans: String {
        let parts = [("stdout", output), ("stderr", errors)].filter { !$0.1.isEmpty }
        return parts.map { "--- \($0.0) of \(arguments.joined(separator: " "))\n\($0.1.suffix(6000))" }
            .joined(separator: "\n")
    }

    /// How the process ended; nil while it runs.
    public func poll() -> ProcessEnd? { reap(blocking: false) }

    /// Waits for the end; nil when the process still runs after `timeout`.
    public func wait(atMost timeout: Duration) -> ProcessEnd? {
        try? eventually("end of process", within: timeout, every: .milliseconds(2)) { self.poll() != nil }
        return poll()
    }

    /// Sends a signal to the process alone, unless it has ended.
    public func signal(_ number: Int32) {
        end.withLock { if $0 == nil { _ = Foundation.kill(processID, number) } }
    }

    /// Asks the process to end by SIGTERM and waits; kills it when it does not within `limit`.
    @discardableResult
    public func terminate(within limit: Duration = .seconds(20)) -> ProcessEnd? {
        signal(SIGTERM)
        let result = wait(atMost: limit)
        kill()
        return result
    }

    /// Kills the process and its group, and waits for its end.
    public func kill() {
        end.withLock { if $0 == nil { _ = Foundation.kill(-processID, SIGKILL) } }
        _ = reap(blocking: true)
    }

    /// Removes the files with its output, of a command whose output was read.
    func removeFiles() {
        for file in [outputFile, errorFile] { try? FileManager.default.removeItem(at: file) }
    }

    private func reap(blocking: Bool) -> ProcessEnd? {
        end.withLock { end in
            if end != nil { return end }
            var status: Int32 = 0
            var result = waitpid(processID, &status, blocking ? 0 : WNOHANG)
            while result == -1 && errno == EINTR { result = waitpid(processID, &status, blocking ? 0 : WNOHANG) }
            if result == processID {
                end = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f)
            } else if result == -1 {
                end = .exited(-1)  // reaped by somebody else; there is nothing left to wait for
            }
            return end
        }
    }

    private static func text(_ file: URL) -> String {
        String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self)
    }

    private static func spawn(
        _ arguments: [String], environment: [String: String], input: String, output: String, error: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, error, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        posix_spawnattr_setpgroup(&attributes, 0)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)

        var variables = ProcessInfo.processInfo.environment
        // ip, ethtool and tc live in the sbin directories, which a user's PATH may lack.
        variables["PATH"] = (variables["PATH"] ?? "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
        variables["LC_ALL"] = "C"
        variables.merge(environment) { $1 }
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &envp)
        guard result == 0 else {
            throw CommandFailure(arguments: arguments, reason: String(cString: strerror(result)), output: "")
        }
        return pid
    }
}
