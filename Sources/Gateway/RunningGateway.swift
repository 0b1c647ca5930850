import Configuration
import ControlPlane
import Cryptography
import Logging
import NIOPosix
import Netlink
import Platform
import Policy
import XDP

/// A gateway from its start to its end: ports, workers, control loop, control socket.
final class RunningGateway {
    let parts: GatewayParts
    private let logger: Logger
    private let workers: [WorkerThread]
    private let hostPath: HostPath
    private let group: MultiThreadedEventLoopGroup
    private var control: ControlThread?
    /// The configuration that was read, keys included; only until it is in force.
    private var manual: ManualConfiguration?
    private var connections: SwanctlConfiguration?
    private var server: VICIServer?
    /// The sink for keepalives where nothing is negotiated and ESP is in UDP.
    private let keepaliveSink: KeepaliveSink?

    /// Makes all parts. From the moment when a port is open its steering program lets nothing pass that might have to be
    /// protected; releasing the gateway before it has started puts back what was there.
    init(_ options: GatewayOptions, logger: Logger) throws {
        self.logger = logger
        let configuration = try LoadedConfiguration(options, logger: logger)
        try Privileges.check()
        Startup.warnOfKernelAssociations(logger)
        // First of all: whatever goes wrong from here on, nothing that is configured to be protected leaves in clear.
        let boundary = try BoundaryKeeper(
            options, covered: CoveredList(configuration.manual, configuration.connections?.connections ?? []),
            logger: logger)
        let plan = try Startup.plan(options)
        let mailbox = NetworkMailbox()
        let monitor = try RestartableMonitor(mailbox)
        let session = try Startup.environment { () throws(NetlinkError) in try NetlinkSession() }
        let (umem, tables, ports) = try Startup.ports(options, plan, logger: logger)
        parts = GatewayParts(
            options: options, plan: plan, engine: options.engine.maker, umem: umem, served: ServedPorts(ports),
            tables: tables,
            publisher: SnapshotPublisher(workers: plan.workers), statistics: (0..<plan.workers).map { _ in .init() },
            events: Startup.eventRings(plan), session: session,
            mailbox: mailbox, mesh: Startup.mesh(plan),
            mailboxes: (0..<plan.workers).map { _ in .init() }, monitor: monitor,
            hostTunnel: Startup.hostTunnel(
                configuration.manual, session: session, pathMTU: options.mtu ?? 1500, logger: logger),
            boundary: boundary)
        workers = try Startup.workers(parts)
        let firstHostFrame = plan.workers * plan.framesPerWorker
        hostPath = HostPath(
            umem: umem, mesh: parts.mesh, workers: plan.workers,
            frames: firstHostFrame..<firstHostFrame + PortPlan.hostFrames, publisher: parts.publisher,
            tunnel: parts.hostTunnel)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let isEncapsulated = configuration.manual.states.contains { $0.encapsulation != nil }
        keepaliveSink = isEncapsulated && !options.negotiates ? KeepaliveSink() : nil
        manual = configuration.manual
        connections = configuration.connections
    }

    /// Starts everything; packets flow when this returns. After an error `stop` is to be called as well.
    func start() throws {
        guard let manual else { return }
        let control = try ControlThread(parts, configuration: manual, on: group.next(), logger: logger)
        // Its keys are in the ciphers now, and nowhere else.
        self.manual = nil
        if !SecretMemory.isLocked {
            logger.warning(
                "blocks of keys are not locked and may reach swap space: raise the limit of locked memory (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK"
            )
        }
        self.control = control
        server = try VICIServer.start(
            path: parts.options.controlSocket, registry: try control.commands(), group: group, logger: logger)
        for worker in workers { try worker.start() }
        try hostPath.start()
        waitForWorkers()
        for port in parts.ports { try Startup.environment { () throws(XDPError) in try port.start() } }
    }

    /// Brings the connections of the configuration into force: packets flow, so they may come up.
    func loadConnections() throws {
        defer { self.connections = nil }
        guard let connections else { return try control?.openSteering() ?? () }
        try control?.ike?.load(connections)
        try control?.openSteering()
        logger.info(
            "configuration loaded",
            metadata: [
                "file": "\(parts.options.configuration ?? "none")", "connections": "\(connections.connections.count)",
            ])
    }

    /// The reload that SIGHUP begins.
    var reload: ConfigurationReload {
        ConfigurationReload(options: parts.options, ike: control?.ike, logger: logger)
    }

    /// Packets are to find frames in the fill rings, which workers put there in their first round.
    private func waitForWorkers() {
        for _ in 0..<1000 where !workers.allSatisfy(\.hasStarted) { SystemClock.sleep(microseconds: 1000) }
    }

    /// Ends everything, in the order in which it hurts least: first peers learn of it, then the workers get no more packets.
    /// The steering programs stay on the ports and drop what they would have got.
    func stop() {
        control?.endSessions()
        for port in parts.ports { try? port.stop() }
        try? server?.stop()
        control?.stop()
        parts.monitor.stop()
        for worker in workers { worker.stop() }
        hostPath.stop()
        for port in parts.ports { port.close() }
        if parts.options.openOnExit { detachPrograms() }
        group.stop()
    }

    /// The programs outlive the process unless they are taken away.
    private func detachPrograms() {
        for port in parts.plan.ports {
            do throws(XDPError) {
                _ = try SteeringProgram.detach(from: port.interface.name)
            } catch {
                logger.error(
                    "steering program not detached", metadata: ["port": "\(port.interface.name)", "error": "\(error)"])
            }
        }
    }

    /// One line: what runs where.
    func readyLine(milliseconds: Int) throws -> String {
        let ports = parts.ports.map { port in
            "\(port.roles.names.joined(separator: "+")) \(port.interface.name) "
                + "(\(port.mode.xdp.rawValue), \(port.mode.copy.rawValue))"
        }
        let cores = parts.plan.cores.map(String.init).joined(separator: ",")
        let counts = try control?.counts() ?? (associations: 0, policies: 0)
        return """
            ready in \(milliseconds) ms: \(Product.name) \(Product.version), \(ports.joined(separator: ", ")), workers \
            \(parts.plan.workers) on cores \(cores), \(counts.associations) SAs, \(counts.policies) policies, \
            control socket \(parts.options.controlSocket)
            """
    }
}
