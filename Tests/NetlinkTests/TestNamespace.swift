import CLinux
import Foundation
import Netlink

/// Why a check inside a namespace failed. (Expectations belong to the test's task, which is on another thread.)
struct CheckFailure: Error, CustomStringConvertible {
    let description: String
}

/// Two network namespaces, joined by a veth pair, that live as long as the thread that a test runs on.
///
/// `near` has "port" with 10.9.0.1/24 and 2001:db8:9::1/64, `far` has "peer" with .2 and ::2.
final class TestNamespace {
    private let near: Int32
    private let far: Int32

    private init() throws {
        near = try Self.unshareNetwork()
        far = try Self.unshareNetwork()
        for command in [
            "ip link set lo up", "sysctl -qw net.ipv6.conf.default.accept_dad=0",
        ] {
            try Self.run(command)
        }
        try enter(near)
        let farPath = "/proc/\(getpid())/fd/\(far)"
        for command in [
            "ip link set lo up", "sysctl -qw net.ipv6.conf.default.accept_dad=0",
            "ip link add port address 02:00:00:00:00:01 type veth peer name peer address 02:00:00:00:00:02 netns \(farPath)",
            "ip addr add 10.9.0.1/24 dev port", "ip addr add 2001:db8:9::1/64 dev port nodad", "ip link set port up",
        ] { try Self.run(command) }
        try inFar {
            for command in [
                "ip addr add 10.9.0.2/24 dev peer", "ip addr add 2001:db8:9::2/64 dev peer nodad",
                "ip link set peer up",
            ] { try Self.run(command) }
        }
    }

    deinit {
        close(near)
        close(far)
    }

    /// Runs `body` on a thread of its own, in the near namespace.
    static func run<Value: Sendable>(_ body: @escaping @Sendable (TestNamespace) throws -> Value) async throws -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try body(TestNamespace()) })
            }
        }
    }

    /// Runs a command in the namespace that the thread is in.
    static func run(_ command: String) throws {
        // The child inherits the calling thread's namespace.
        let status = system(command)
        guard status == 0 else { throw CheckFailure(description: "'\(command)' ended with \(status)") }
    }

    func run(_ command: String) throws { try Self.run(command) }

    /// What a command prints.
    func output(_ command: String) throws -> String {
        guard let stream = popen(command, "r") else { throw CheckFailure(description: "'\(command)' not started") }
        defer { pclose(stream) }
        var text = ""
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, Int32(line.count), stream) != nil {
            text += String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
        return text
    }

    func inFar(_ body: () throws -> Void) throws {
        try enter(far)
        defer { try? enter(near) }
        try body()
    }

    private func enter(_ namespace: Int32) throws {
        guard setns(namespace, CLONE_NEWNET) == 0 else { throw CheckFailure(description: "setns: \(errno)") }
    }

    private static func unshareNetwork() throws -> Int32 {
        guard unshare(CLONE_NEWNET) == 0 else { throw CheckFailure(description: "unshare: \(errno); run as root") }
        return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    }
}

/// Collects what a monitor reports, and lets a test wait for it.
final class Recorder: @unchecked Sendable {
    private let condition = NSCondition()
    private var latest = NetworkState()
    private var changes: [NetworkChange] = []

    func record(_ change: NetworkChange, _ state: NetworkState) {
        condition.lock()
        latest = state
        changes.append(change)
        condition.broadcast()
        condition.unlock()
    }

    var reported: [NetworkChange] {
        condition.lock()
        defer { condition.unlock() }
        return changes
    }

    /// Waits until the reported state is as wanted.
    @discardableResult
    func wait(
        _ expectation: String, seconds: Double = 60, until isMet: (NetworkState) -> Bool
    ) throws -> NetworkState {
        let deadline = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while !isMet(latest) {
            guard condition.wait(until: deadline) else {
                throw CheckFailure(description: "never: \(expectation)")
            }
        }
        return latest
    }
}
