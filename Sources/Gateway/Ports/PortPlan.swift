import Dataplane
import XDP

/// A plan of which interfaces become ports, which worker serves which queue, and how the frames are shared out. Pure.
struct PortPlan: Equatable {
    /// An interface as it was found.
    struct Interface: Equatable {
        var name: String
        var index: UInt32
        var queueCount: Int
        /// The name of its driver; empty when it does not say.
        var driver = ""
    }

    /// Drivers of interfaces that get their packets from others: the XDP program runs there, and no socket gets them.
    private static let composite: Set<String> = ["bonding", "bridge", "team"]

    struct Port: Equatable {
        var interface: Interface
        var roles: PortRoles
    }

    /// The ports in the order of their numbers: LAN first, as on the command line.
    var ports: [Port]
    /// The core of each worker.
    var cores: [Int]
    /// Frames of each worker.
    var framesPerWorker: Int

    /// Frames that the host's slow path has for packets on their way from and to the kernel.
    static let hostFrames = 256
    /// Frames of a worker beyond what its rings hold: batches under way, handovers, packets that wait.
    static let spareFrames = 1024

    var workers: Int { cores.count }
    var frames: Int { workers * framesPerWorker + Self.hostFrames }

    /// The worker that serves a queue, for every port the same.
    func worker(ofQueue queue: Int) -> Int { queue % workers }

    /// - Parameters:
    ///   - interfaces: what exists, by name; all that `options` names are there.
    ///   - allowedCores: those that the process may use.
    init(
        _ options: GatewayOptions, interfaces: [String: Interface], allowedCores: [Int]
    ) throws(GatewayError) {
        var ports: [Port] = []
        for (names, role) in [(options.lan, PortRoles.lan), (options.wan, PortRoles.wan)] {
            for name in names {
                guard let interface = interfaces[name] else {
                    throw GatewayError(
                        .environment, "unknown interface '\(name)'", remedy: "list interfaces with `ip link`")
                }
                guard !Self.composite.contains(interface.driver) else {
                    throw GatewayError(
                        .environment,
                        "\(name) is made of other interfaces (\(interface.driver)), which XDP cannot serve",
                        remedy: "name one of those, taken out of it")
                }
                if let known = ports.firstIndex(where: { $0.interface.index == interface.index }) {
                    ports[known].roles.insert(role)
                } else {
                    ports.append(Port(interface: interface, roles: role))
                }
            }
        }
        self.ports = ports
        cores = try Self.cores(options, ports: ports, allowed: allowedCores)
        framesPerWorker = 0
        framesPerWorker = try Self.frames(options, ports: ports, workers: cores.count)
    }

    private static func cores(
        _ options: GatewayOptions, ports: [Port], allowed: [Int]
    ) throws(GatewayError) -> [Int] {
        if let core = options.cores?.first(where: { !allowed.contains($0) }) {
            let list = allowed.map(String.init).joined(separator: ",")
            throw GatewayError(
                .environment, "core \(core) is not there, or not for this process", remedy: "choose from \(list)")
        }
        let narrowest = ports.min { $0.interface.queueCount < $1.interface.queueCount }
        let queues = narrowest?.interface.queueCount ?? 1
        let wanted = options.workers ?? options.cores?.count ?? min(queues, allowed.count)
        guard wanted <= queues else {
            let name = narrowest?.interface.name ?? ""
            throw GatewayError(
                .environment, "\(wanted) workers need as many queues on every port, and \(name) has \(queues)",
                remedy: "give --workers \(queues), or more queues with `ethtool -L \(name) combined \(wanted)`")
        }
        let available = options.cores ?? allowed
        guard wanted <= available.count else {
            throw GatewayError(
                .environment, "\(wanted) workers need as many cores, and the process may use \(available.count)",
                remedy: "give --workers \(available.count)")
        }
        return Array(available.prefix(wanted))
    }

    private static func frames(
        _ options: GatewayOptions, ports: [Port], workers: Int
    ) throws(GatewayError) -> Int {
        // The worker with the most queues: number 0, which has one of each incomplete round.
        let queues = ports.map { ($0.interface.queueCount + workers - 1) / workers }.reduce(0, +)
        guard let total = options.frames else { return queues * 2 * options.ringSize + spareFrames }
        let share = (total - hostFrames) / workers
        let least = queues * 64 + options.batch * 2
        guard share >= least else {
            throw GatewayError(
                .environment, "--frames \(total) leaves \(max(0, share)) for each worker, too few for its queues",
                remedy: "give at least \(least * workers + hostFrames), or leave it out")
        }
        return share
    }
}
