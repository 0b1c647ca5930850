import Configuration
import ControlPlane
import Dataplane
import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets
import Platform
import Policy

/// IKE as other threads see it: everything is asked of its event loop, which is the control loop's.
struct IKEThread: Sendable {
    let service: NIOLoopBound<IKEService>
    private let eventLoop: any EventLoop

    /// The time that peers have to acknowledge that their SAs are deleted when the gateway ends.
    private static let patienceInMilliseconds = 1000

    /// Opens the sockets, and joins IKE and the dataplane. Blocks until that is done.
    init(_ options: GatewayOptions, control: NIOLoopBound<ControlLoop>, on eventLoop: any EventLoop) throws {
        self.eventLoop = eventLoop
        let logger = Logger(label: "ike")
        do {
            service = try eventLoop.submit {
                let service = try IKEService(
                    Self.serviceOptions(options), dataplane: control.value.children,
                    clock: { Instant(nanoseconds: Worker.clock()) },
                    wallClock: SystemClock.wallSeconds,
                    interface: { [weak loop = control.value] in loop?.interface(aroundTunnelsTo: $0) ?? 0 },
                    needsNeighbour: { [weak loop = control.value] in loop?.isUnknownNeighbour($0) ?? false },
                    eventLoop: eventLoop, logger: logger)
                if let path = options.configuration {
                    let bound = NIOLoopBound(WeakService(service), eventLoop: eventLoop)
                    service.control.reload = {
                        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
                            try LoadedConfiguration.connections(path, rules: options.proposalRules, logger: logger)
                        }.map { bound.value.service?.load($0) }
                            .flatMapErrorThrowing { error in
                                bound.value.service?.control.keep(for: Self.errors(error, file: path))
                                throw error
                            }
                    }
                }
                control.value.handleDataplaneEvent = { [weak service] event in
                    guard let service else { return }
                    service.manager.handle(event, at: service.now)
                }
                control.value.networkChanged = { [weak service] addresses in
                    guard let service else { return }
                    service.manager.networkChanged(addresses, at: service.now)
                }
                service.knownChanged = { [weak loop = control.value] in loop?.parts.publisher.watchedPeers.set($0) }
                control.value.peersOfIKE = { [weak service] in Self.peers(service?.manager.connections ?? []) }
                service.start()
                return NIOLoopBound(service, eventLoop: eventLoop)
            }.wait()
        } catch {
            throw GatewayError(.environment, cause: error)
        }
    }

    /// The addresses that connections name.
    private static func peers(_ connections: [Connection]) -> Set<IPAddress> {
        var peers: Set<IPAddress> = []
        for case .range(let range) in connections.flatMap(\.remoteAddresses) where range.first == range.last {
            peers.insert(range.first)
        }
        return peers
    }

    private static func serviceOptions(_ options: GatewayOptions) -> IKEService.Options {
        var result = IKEService.Options()
        result.settings = options.ike
        result.keyLog = options.keyLog
        result.stateDirectory = options.stateDirectory
        result.proposalRules = options.proposalRules
        return result
    }

    /// The commands of the control socket that are about IKE, added to others.
    func commands(beside others: CommandRegistry) throws -> CommandRegistry {
        try eventLoop.submit { [service, eventLoop] in
            var registry = others
            IKECommands.register(service.value.control, on: eventLoop, in: &registry)
            return registry
        }.wait()
    }

    /// Replaces all connections and credentials; then start actions run.
    func load(_ configuration: SwanctlConfiguration) throws {
        try eventLoop.submit { [service] in
            service.value.load(configuration)
            service.value.manager.forgetUnloadedTunnels(at: service.value.now)
        }.wait()
    }

    /// The configuration could not be read again, and stays as it is: `sluice status` says why.
    func keep(for error: any Error, file: String) {
        let errors = Self.errors(error, file: file)
        try? eventLoop.submit { [service] in service.value.control.keep(for: errors) }.wait()
    }

    private static func errors(_ error: any Error, file: String) -> ConfigurationErrors {
        ConfigurationErrors([
            Problem(
                .error, SourceLocation(file: file, line: 0), word: nil,
                "the configuration was not reloaded, and the old one stays in force: \(error)",
                remedy: "mend the file, and load it again")
        ])
    }

    /// Deletes all SAs at their peers, and waits for them, but not for long.
    func shutDown() {
        try? eventLoop.submit { [service] in service.value.shutDown() }.wait()
        for _ in 0..<Self.patienceInMilliseconds / 10 {
            guard (try? eventLoop.submit { [service] in service.value.isIdle }.wait()) == false else { break }
            SystemClock.sleep(microseconds: 10_000)
        }
        try? eventLoop.submit { [service] in service.value.stop() }.wait()
    }
}

/// Does not keep the service alive.
private final class WeakService {
    weak var service: IKEService?

    init(_ service: IKEService) { self.service = service }
}

extension ControlLoop {
    /// Whether a packet to an address makes the kernel look for a neighbour: it lies on a link, and has not been seen there.
    func isUnknownNeighbour(_ address: IPAddress) -> Bool {
        let hop = snapshot.tables.pointee.route(to: address).pointee
        guard hop.interfaceIndex != 0, hop.address.isUnspecified else { return false }
        return hop.state == .unresolved || hop.state == .failed || hop.state == .notAPort
    }

    /// The interface by which IKE reaches a peer although a policy's route would lead it into a tunnel: IKE is never
    /// caught by a policy, or no tunnel to a peer within a protected network could be set up. 0: no route does that.
    func interface(aroundTunnelsTo peer: IPAddress) -> UInt32 {
        guard hostRoutes.leads(to: peer) else { return 0 }
        let hop = snapshot.tables.pointee.route(to: peer).pointee
        return hop.portIndex == NextHop.noPort ? 0 : hop.interfaceIndex
    }
}
