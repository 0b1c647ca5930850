import CTestLinux
import Foundation

/// A network namespace with a name of its own, e.g. `slt4711-3-gwA`.
public final class NetworkNamespace: Sendable {
    public let name: String

    /// Makes the namespace with its loopback up. `role` says what the namespace plays, for logs.
    public init(_ role: String) throws {
        name = "\(TestRun.current.name)-\(TestRun.current.next())-\(role)"
        try run(["ip", "netns", "add", name])
        try run(["ip", "-n", name, "link", "set", "lo", "up"])
    }

    deinit { remove() }

    /// Kills what still runs inside and deletes the namespace, and with it every interface in it. Harmless when repeated.
    public func remove() {
        guard access("/run/netns/\(name)", F_OK) == 0 else { return }
        let inside = (try? attempt(["ip", "netns", "pids", name]).output) ?? ""
        for process in inside.split(whereSeparator: \.isWhitespace).compactMap({ pid_t($0) }) { kill(process, SIGKILL) }
        _ = try? attempt(["ip", "netns", "del", name])
    }

    /// Runs lines of `ip` inside the namespace, e.g. `link set eth0 up`. All in one process, because starting one costs more.
    public func ip(_ lines: String...) throws {
        try run(["ip", "-n", name, "-batch", "-"], input: lines.joined(separator: "\n") + "\n")
    }

    /// Sets kernel parameters inside the namespace, e.g. `net.ipv4.ip_forward=1`.
    public func sysctl(_ settings: String...) throws { try run(["sysctl", "-qw"] + settings, in: self) }

    /// Runs `body` on a thread of its own that lives in the namespace; sockets it opens stay in the namespace.
    public func perform<T>(_ body: () throws -> T) throws -> T {
        var result: Result<T, any Error>?
        withoutActuallyEscaping(body) { body in
            let errand = Errand {
                result = Result {
                    try self.enter()
                    return try body()
                }
            }
            errand.runOnNewThread()
        }
        guard let result else { throw NeverHappened(description: "thread in \(name) ended without a result") }
        return try result.get()
    }

    /// Moves the calling thread into the namespace.
    func enter() throws {
        let file = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let error = file < 0 ? errno : sluice_test_enter_namespace(file)
        if error != 0 {
            throw CommandFailure(arguments: ["setns", name], reason: String(cString: strerror(error)), output: "")
        }
    }

    /// The hardware address of an interface.
    public func hardwareAddress(of interface: String) throws -> String {
        let line = try run(["ip", "-n", name, "-br", "link", "show", "dev", interface])
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count > 2 else { throw NeverHappened(description: "no hardware address in: \(line)") }
        return String(words[2])
    }

    /// Joins an interface here to one in another namespace, both up, with offloads off: an offloaded checksum is never
    /// filled in on veth, and a frame of several segments is nothing an AF_XDP socket could take.
    public func connect(
        _ interface: String, to other: NetworkNamespace, _ peer: String, queues: Int = 1, mtu: Int = 1500
    ) throws {
        let counts = "numtxqueues \(queues) numrxqueues \(queues)"
        try ip(
            "link add name \(interface) mtu \(mtu) \(counts) type veth peer name \(peer) mtu \(mtu) \(counts) netns \(other.name)"
        )
        for (namespace, name) in [(self, interface), (other, peer)] {
            try run(
                ["ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"],
                in: namespace)
            try namespace.ip("link set \(name) up")
        }
    }
}

/// Work for one thread that its starter waits for, so that nothing is shared at the same time.
private final class Errand {
    private let work: () -> Void

    init(_ work: @escaping () -> Void) { self.work = work }

    func runOnNewThread() {
        var thread = pthread_t()
        let argument = Unmanaged.passUnretained(self).toOpaque()
        let started = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Errand>.fromOpaque(argument).takeUnretainedValue().work()
                return nil
            }, argument)
        if started == 0 { pthread_join(thread, nil) }
    }
}
