import Dataplane
import Logging
import Netlink
import Packets
import Synchronization
import XDP

/// Ports whose interfaces were removed and are back under another index. A steering program comes onto the new interface at once, so that
/// nothing passes there in clear; as soon as it is up it gets sockets, which take the place of the old ones in the workers.
struct PortReturns {
    private let parts: GatewayParts
    private let logger: Logger
    /// The ports that are not served, by their number.
    private var returned: [Int: UnservedPort] = [:]
    /// Indices of interfaces that no program could be attached to: said once.
    private var failed: Set<UInt32> = []
    /// The number of times that serving an interface has failed, by its index.
    private var attempts: [UInt32: Int] = [:]
    /// Queues that workers have not taken over yet, and of which port they are.
    private var exchanges: [(number: Int, exchange: PortExchange)] = []
    /// Some port got another program since the last look.
    private var hasNewProgram = false

    private static let mostAttempts = 10
    /// The time for which packets of the old interface may be on their way.
    private static let patienceInNanoseconds: UInt64 = 2_000_000_000

    init(_ parts: GatewayParts, logger: Logger) {
        self.parts = parts
        self.logger = logger
    }

    private func servedIndex(_ number: Int) -> UInt32 { UInt32(bitPattern: parts.ports[number].interface.index) }

    /// The ports by the indices that their interfaces have now.
    var ports: [UInt32: SteeringView.Port] {
        var result: [UInt32: SteeringView.Port] = [:]
        for (number, port) in parts.plan.ports.enumerated() {
            let index = returned[number].map { UInt32(bitPattern: $0.interface.index) } ?? servedIndex(number)
            result[index] = SteeringView.Port(number: number, roles: port.roles)
        }
        return result
    }

    /// The numbers of the ports that workers serve, by the indices of their interfaces.
    var served: [UInt32: UInt16] {
        Dictionary(parts.plan.ports.indices.map { (servedIndex($0), UInt16($0)) }) { first, _ in first }
    }

    /// The program on a port that is back and not served.
    func program(_ number: Int) -> SteeringProgram? { returned[number]?.program }

    /// Whether a port has another program since this was asked.
    mutating func takeNews() -> Bool {
        defer { hasNewProgram = false }
        return hasNewProgram
    }

    /// Attaches programs to interfaces that are back, and serves those that are up. Returns whether a port is served anew.
    @discardableResult mutating func follow(_ state: NetworkState) -> Bool {
        var isServedAnew = false
        for (number, port) in parts.plan.ports.enumerated() where state.links[servedIndex(number)] == nil {
            guard let link = state.links.values.first(where: { $0.name == port.interface.name }) else { continue }
            if UInt32(bitPattern: returned[number]?.interface.index ?? 0) != link.index {
                attach(number, port, link.index)
            }
            if link.isUp, returned[number] != nil, serve(number, port, link.index) { isServedAnew = true }
        }
        return isServedAnew
    }

    /// Tries again what has failed; called once a second. Returns whether a port is served anew.
    mutating func secondPassed(_ state: NetworkState) -> Bool {
        reportExchanges()
        return returned.isEmpty ? false : follow(state)
    }

    private func settings(_ number: Int) -> PortOptions {
        parts.options.portOptions(queues: parts.ports[number].queueCount)
    }

    private mutating func attach(_ number: Int, _ port: PortPlan.Port, _ index: UInt32) {
        let name = port.interface.name
        returned[number] = nil
        do throws(XDPError) {
            returned[number] = try UnservedPort(
                interface: name, roles: port.roles, tables: parts.tables, options: settings(number))
            failed.remove(index)
            hasNewProgram = true
            logger.notice(
                "port is back as another interface: what has to be protected is dropped there until it is served",
                metadata: ["port": "\(name)"])
        } catch {
            guard failed.insert(index).inserted else { return }
            logger.critical(
                "port is back without its steering program; restart the gateway",
                metadata: ["port": "\(name)", "error": "\(error)"])
        }
    }

    private mutating func serve(_ number: Int, _ port: PortPlan.Port, _ index: UInt32) -> Bool {
        let attempt = attempts[index, default: 0] + 1
        guard attempt <= Self.mostAttempts else { return false }
        attempts[index] = attempt
        let name = port.interface.name
        guard parts.ports[number].mode.copy == .copy else {
            attempts[index] = Self.mostAttempts
            logger.error(
                "port is back, and its driver kept packet memory (zero-copy): what has to be protected is dropped there; restart the gateway",
                metadata: ["port": "\(name)"])
            return false
        }
        // Its lock; the program stays on the interface until the new one takes its place.
        returned[number] = nil
        do throws(XDPError) {
            let opened = try XDPPort(
                interface: name, roles: port.roles, umem: parts.umem, tables: parts.tables, options: settings(number))
            try opened.start()
            handOver(number, opened)
            parts.served.replace(number, by: opened)
            hasNewProgram = true
            logger.notice(
                "port is back and served again",
                metadata: [
                    "port": "\(name)", "queues": "\(opened.queueCount)", "xdp": "\(opened.mode.xdp.rawValue)",
                    "packets": "\(opened.mode.copy.rawValue)",
                ])
            return true
        } catch {
            if attempt == 1 || attempt == Self.mostAttempts {
                let isLast = attempt == Self.mostAttempts
                logger.error(
                    "port is back and cannot be served: what has to be protected is dropped there; \(isLast ? "restart the gateway" : "tried again")",
                    metadata: ["port": "\(name)", "error": "\(error)"])
            }
            attach(number, port, index)
            return false
        }
    }

    /// Every queue goes to the worker that had it.
    private mutating func handOver(_ number: Int, _ port: XDPPort) {
        for queue in 0..<port.queueCount {
            guard let rings = port.makeRings(queue: queue) else { continue }
            let exchange = PortExchange(
                portIndex: UInt16(number), ordinal: queue / parts.plan.workers,
                deadline: Worker.clock() &+ Self.patienceInNanoseconds,
                queue: WorkerQueue(rings: rings, portIndex: UInt16(number), roles: port.roles))
            parts.mailboxes[parts.plan.worker(ofQueue: queue)].post(exchange)
            exchanges.append((number, exchange))
        }
    }

    private mutating func reportExchanges() {
        for (number, exchange) in exchanges {
            guard let lost = exchange.lostFrames, lost > 0 else { continue }
            logger.warning(
                "packets of the removed interface were never reported as sent; their frames are lost until a restart",
                metadata: ["port": "\(parts.plan.ports[number].interface.name)", "frames": "\(lost)"])
        }
        exchanges.removeAll { $0.exchange.lostFrames != nil }
    }
}

/// The ports that the workers serve, by number: one that came back as another interface takes the place of what it was.
final class ServedPorts: Sendable {
    private let ports: Mutex<[XDPPort]>

    init(_ ports: [XDPPort]) { self.ports = Mutex(ports) }

    var current: [XDPPort] { ports.withLock { $0 } }

    func replace(_ number: Int, by port: XDPPort) { ports.withLock { $0[number] = port } }
}
