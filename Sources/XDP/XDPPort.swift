import CXDP
import Platform
import Synchronization

/// One network interface as the gateway uses it: the steering program attached, one AF_XDP socket per queue.
///
/// The order of things: open the port (from now on nothing passes that may have to be protected), give each worker its rings
/// and let it fill the fill rings, ``start()``; at the end ``stop()``, let the workers go, ``close()`` or release the port.
///
/// The program stays on the interface, whatever becomes of the port and the process, and goes on dropping what has to be
/// protected; the next port on the interface replaces it. ``SteeringProgram/detach(from:)`` removes it.
public final class XDPPort: Sendable {
    /// The interface, as it was when the port was opened.
    public let interface: NetworkInterface
    /// The roles of the port.
    public let roles: PortRoles
    /// The modes that the port got, and why.
    public let mode: PortMode
    /// The port's steering program.
    public let program: SteeringProgram
    /// The number of open queues, from queue 0 on.
    public let queueCount: Int
    /// Whether the kernel granted the busy polling that was asked for on every queue (Linux 5.11 and newer).
    public let busyPolling: Bool

    /// Whether frames keep their VLAN tags up to the program. Otherwise frames of all VLANs look untagged.
    public let keepsTags: Bool

    private struct Open {
        var lock: PortLock
        var attachment: ProgramAttachment
        var sockets: [XDPSocket]
        var hasStarted = false
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
        let lock = try PortLock(interface)
        let link = PortLink(interface.macAddress, roles: roles)
        let attachment = try ProgramAttachment(to: interface, mode: options.xdpMode, force: options.force) {
            (load) throws(XDPError) in
            try SteeringProgram(
                tables: tables, links: [link], encapsulationPort: options.encapsulationPort, load: load)
        }
        let opener = SocketOpener(interface: interface, umem: umem, queueCount: queues, options: options)
        let sockets: [XDPSocket]
        let copy: CopyMode
        let reason: String
        do throws(XDPError) {
            (sockets, copy, reason) = try opener.open(native: attachment.mode == .native)
        } catch {
            attachment.undo()
            throw error
        }
        keepsTags = sluice_interface_keep_tags(name) == 0
        program = attachment.program
        mode = PortMode(xdp: attachment.mode, copy: copy, xdpReason: attachment.reason, copyReason: reason)
        queueCount = queues
        busyPolling = options.busyPoll != nil && sockets.allSatisfy(\.busyPolling)
        self.interface = interface
        self.roles = roles
        open = Mutex(Open(lock: lock, attachment: attachment, sockets: sockets))
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
        open.withLock { $0?.hasStarted = true }
    }

    /// Drops from now on what would go into the sockets; what is in the rings stays there.
    public func stop() throws(XDPError) {
        for queue in 0..<queueCount { try program.removeSocket(queue: queue) }
    }

    /// Closes the sockets as soon as their rings are gone too. The program stays where it is; only if the port was never
    /// started what was there before is put back.
    public func close() {
        open.withLock { open in
            if let port = open, !port.hasStarted { port.attachment.undo() }
            open = nil
        }
    }

    deinit { close() }

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

/// An interface with a steering program and no sockets: what would have to be protected is dropped there, and the rest passes.
///
/// For a port whose interface was removed and is back: the sockets of the old one cannot move to it.
public final class UnservedPort: Sendable {
    /// The interface as it was when the program was attached.
    public let interface: NetworkInterface
    /// Its steering program, which stays on the interface when this object is gone.
    public let program: SteeringProgram
    private let lock: PortLock

    /// Attaches a program in the calling thread's network namespace.
    public init(
        interface name: String, roles: PortRoles, tables: SteeringTables, options: PortOptions = PortOptions()
    ) throws(XDPError) {
        let interface = try NetworkInterface(named: name)
        lock = try PortLock(interface)
        let link = PortLink(interface.macAddress, roles: roles)
        program = try ProgramAttachment(to: interface, mode: options.xdpMode, force: options.force) {
            (load) throws(XDPError) in
            try SteeringProgram(
                tables: tables, links: [link], encapsulationPort: options.encapsulationPort, load: load)
        }.program
        self.interface = interface
    }
}

/// Says that a process of ours uses an interface: a socket with a name of its own in the network namespace. The kernel takes
/// it away with the process, however that ends, so what is left on the interface then has no owner.
private final class PortLock: Sendable {
    private let socket: Socket

    /// Waits a moment for a process that is just ending.
    init(_ interface: NetworkInterface) throws(XDPError) {
        do { socket = try Socket(.localDatagrams) } catch {
            throw .systemCall(place: "make a socket for the lock of \(interface.name)", errno: error.rawValue)
        }
        let name = KernelAddress(abstract: "sluice-port-\(interface.index)")
        var attempts = ProgramAttachment.patience.attempts
        while true {
            do throws(Errno) {
                try socket.bind(to: name)
                return
            } catch {
                guard error == .addressInUse else {
                    throw XDPError.systemCall(place: "lock \(interface.name)", errno: error.rawValue)
                }
            }
            attempts -= 1
            guard attempts > 0 else {
                throw .alreadyRunning(
                    interface: interface.name, id: (try? SteeringProgram.attached(to: interface.name)) ?? 0)
            }
            SystemClock.sleep(microseconds: ProgramAttachment.patience.microseconds)
        }
    }
}
