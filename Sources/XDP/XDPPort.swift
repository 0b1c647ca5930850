import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One network interface as the gateway uses it: the steering program attached, one AF_XDP socket per queue.
///
/// The order of things: open the port (nothing changes for the host's traffic yet), give each worker its rings and let it
/// fill the fill rings, ``start()``; at the end ``stop()``, let the workers go, ``close()`` or release the port.
public final class XDPPort: Sendable {
    /// The interface, as it was when the port was opened.
    public let interface: NetworkInterface
    /// What it is for.
    public let roles: PortRoles
    /// What was got, and why.
    public let mode: PortMode
    /// The port's steering program.
    public let program: SteeringProgram
    /// How many queues are open, from queue 0 on.
    public let queueCount: Int
    /// Whether the kernel granted the busy polling that was asked for on every queue (Linux 5.11 and newer).
    public let busyPolling: Bool

    private struct Open {
        var attachment: ProgramAttachment
        var sockets: [XDPSocket]
    }
    private let open: Mutex<Open?>

    /// Opens the interface in the calling thread's network namespace.
    public init(
        interface name: String, roles: PortRoles, umem: UMEM, tables: SteeringTables,
        options: PortOptions = PortOptions()
    ) throws(XDPError) {
        let interface = try NetworkInterface(named: name)
        let queues = try Self.queueCount(interface, options: options)
        guard interface.mtu + 18 <= umem.frameSize - UMEM.headroom else {
            throw .mtuTooLargeForFrames(interface: name, mtu: interface.mtu, limit: umem.frameSize - UMEM.headroom - 18)
        }
        program = try SteeringProgram(tables: tables, roles: roles, encapsulationPort: options.encapsulationPort)
        let attachment = try ProgramAttachment(
            program, to: interface, mode: options.xdpMode, force: options.force)
        let opener = SocketOpener(interface: interface, umem: umem, queueCount: queues, options: options)
        let (sockets, copy, reason) = try opener.open(native: attachment.mode == .native)
        mode = PortMode(xdp: attachment.mode, copy: copy, xdpReason: attachment.reason, copyReason: reason)
        queueCount = queues
        busyPolling = options.busyPoll != nil && sockets.allSatisfy(\.busyPolling)
        self.interface = interface
        self.roles = roles
        open = Mutex(Open(attachment: attachment, sockets: sockets))
    }

    /// The worker's side of a queue's rings; they keep the queue's socket open. nil when the port is closed.
    public func makeRings(queue: Int) -> SocketRings? {
        socket(queue)?.makeRings()
    }

    /// Lets packets flow into the sockets.
    public func start() throws(XDPError) {
        for queue in 0..<queueCount {
            if let socket = socket(queue) { try program.setSocket(queue: queue, fileDescriptor: socket.fileDescriptor) }
        }
    }

    /// Sends all packets to the host from now on; what is in the rings stays there.
    public func stop() throws(XDPError) {
        for queue in 0..<queueCount { try program.removeSocket(queue: queue) }
    }

    /// Detaches the program, and closes the sockets as soon as their rings are gone too.
    public func close() {
        open.withLock { $0 = nil }
    }

    /// The kernel's counters of a queue's socket; nil when the port is closed.
    public func statistics(queue: Int) throws(XDPError) -> SocketStatistics? {
        try socket(queue)?.statistics()
    }

    private func socket(_ queue: Int) -> XDPSocket? {
        open.withLock { open in
            guard let open, open.sockets.indices.contains(queue) else { return nil }
            return open.sockets[queue]
        }
    }

    private static func queueCount(_ interface: NetworkInterface, options: PortOptions) throws(XDPError) -> Int {
        guard options.ringSize.nonzeroBitCount == 1, (64...32768).contains(options.ringSize) else {
            throw .invalidArgument(
                what: "a ring size of \(options.ringSize)", remedy: "use a power of two from 64 to 32768")
        }
        let asked = options.queueCount ?? min(interface.queueCount, SteeringProgram.maximumQueues)
        guard asked > 0, asked <= interface.queueCount, asked <= SteeringProgram.maximumQueues else {
            throw .tooFewQueues(interface: interface.name, asked: asked, available: interface.queueCount)
        }
        return asked
    }
}
