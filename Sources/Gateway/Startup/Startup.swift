import Configuration
import Cryptography
import Dataplane
import Logging
import Netlink
import Platform
import Policy
import XDP

/// Makes the parts of a gateway, in the order in which they need each other. Nothing here changes what happens to packets:
/// that begins when the ports are opened, and ends in the end state when they start.
enum Startup {
    /// Packets that one ring of the handover mesh holds.
    private static let handoverCapacity = 2048
    /// Events of a worker that may wait for the control loop.
    private static let eventCapacity = 256

    /// Runs `body`, whose errors have their remedies in their descriptions.
    static func environment<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(GatewayError) -> Value {
        do throws(Failure) {
            return try body()
        } catch {
            throw GatewayError(.environment, cause: error)
        }
    }

    /// Ports take all ESP and AH to this host, so another IPsec daemon's peers would be cut off without a word.
    static func warnOfKernelAssociations(_ logger: Logger) {
        guard let count = try? KernelSecurityAssociations.count(), count > 0 else { return }
        logger.warning(
            "the kernel has \(count) IPsec \(count == 1 ? "SA" : "SAs") of its own, whose packets the ports take from now on: move those tunnels to Sluice, or keep their peers on interfaces that are not ports (ip xfrm state)"
        )
    }

    static func plan(_ options: GatewayOptions) throws(GatewayError) -> PortPlan {
        var interfaces: [String: PortPlan.Interface] = [:]
        for name in options.lan + options.wan {
            let found = try environment { () throws(XDPError) in try NetworkInterface(named: name) }
            interfaces[name] = PortPlan.Interface(
                name: name, index: UInt32(bitPattern: found.index), queueCount: found.queueCount,
                driver: found.driver)
        }
        return try PortPlan(options, interfaces: interfaces, allowedCores: Cores.allowed())
    }

    /// Opens all ports over one packet memory. Their programs are attached, and drop what a rule may be about that is not
    /// there yet.
    static func ports(
        _ options: GatewayOptions, _ plan: PortPlan, logger: Logger
    ) throws(GatewayError) -> (umem: UMEM, tables: SteeringTables, ports: [XDPPort]) {
        try environment { () throws(XDPError) in
            let umem = try UMEM(
                frames: plan.frames, frameSize: options.frameSizeInBytes, hugePages: options.hugePages)
            let tables = try SteeringTables()
            var ports: [XDPPort] = []
            for port in plan.ports {
                let opened = try XDPPort(
                    interface: port.interface.name, roles: port.roles, umem: umem, tables: tables,
                    options: options.portOptions(queues: port.interface.queueCount))
                logger.info(
                    "port opened",
                    metadata: [
                        "port": "\(port.interface.name)", "roles": "\(port.roles.names.joined(separator: ","))",
                        "xdp": "\(opened.mode.xdp.rawValue)", "why-xdp": "\(opened.mode.xdpText)",
                        "packets": "\(opened.mode.copy.rawValue)", "why-packets": "\(opened.mode.copyText)",
                        "queues": "\(opened.queueCount)",
                    ])
                if !opened.keepsTags {
                    logger.warning(
                        "frames of all VLANs look untagged; if there are VLANs: ethtool -K \(port.interface.name) rxvlan off",
                        metadata: ["port": "\(port.interface.name)"])
                }
                ports.append(opened)
            }
            return (umem, tables, ports)
        }
    }

    /// The workers, each with its queues of every port and its share of the frames; not started yet.
    static func workers(
        _ parts: GatewayParts
    ) throws(GatewayError) -> [WorkerThread] {
        var workers: [WorkerThread] = []
        for index in 0..<parts.plan.workers {
            var queues: [WorkerQueue] = []
            for (number, port) in parts.ports.enumerated() {
                for queue in 0..<port.queueCount where parts.plan.worker(ofQueue: queue) == index {
                    guard let rings = port.makeRings(queue: queue) else {
                        throw GatewayError(
                            .failure, "port \(port.interface.name) closed before it was used", remedy: "try again")
                    }
                    queues.append(WorkerQueue(rings: rings, portIndex: UInt16(number), roles: port.roles))
                }
            }
            var configuration = WorkerConfiguration(index: index)
            configuration.batchSize = parts.options.batch
            let first = index * parts.plan.framesPerWorker
            let worker = Worker(
                configuration: configuration, queues: queues, umem: parts.umem,
                pool: FramePool(umem: parts.umem, frames: first..<first + parts.plan.framesPerWorker),
                reader: parts.publisher.makeReader(worker: index), mesh: parts.mesh,
                events: parts.events[index].producer(), statistics: parts.statistics[index])
            workers.append(
                WorkerThread(
                    worker, index: index, core: parts.plan.cores[index], busyPoll: parts.options.busyPoll,
                    statistics: parts.statistics[index], wakeUp: parts.mesh.wakeUp(of: index),
                    mailbox: parts.mailboxes[index]))
        }
        return workers
    }

    static func mesh(_ plan: PortPlan) -> HandoverMesh {
        HandoverMesh(workers: plan.workers, capacity: handoverCapacity)
    }

    static func eventRings(_ plan: PortPlan) -> [SPSCRing<WorkerEvent>] {
        (0..<plan.workers).map { _ in SPSCRing(capacity: eventCapacity) }
    }

    /// The TUN device of the slow path. Without one the gateway works, but not for packets of the host itself.
    static func hostTunnel(
        _ configuration: ManualConfiguration, session: NetlinkSession, pathMTU: Int, logger: Logger
    ) -> HostTunnel? {
        let mtus = configuration.states.map { $0.innerMTU(pathMTU: pathMTU) }
        // What is negotiated takes up to a hundred bytes with common ciphers. IPv6 needs 1280.
        let mtu = UInt32(max(mtus.min() ?? pathMTU - 100, 1280))
        do throws(NetlinkError) {
            return HostTunnel(try TUNDevice(name: "sluice%d", mtu: mtu, session: session), mtu: mtu)
        } catch {
            logger.warning(
                "no TUN device: packets from and to this host itself do not go through tunnels",
                metadata: ["error": "\(error)"])
            return nil
        }
    }
}

extension GatewayOptions {
    func portOptions(queues: Int) -> PortOptions {
        var settings = PortOptions()
        settings.queueCount = queues
        settings.ringSize = ringSize
        settings.xdpMode = xdpMode
        settings.copyMode = copyMode
        settings.busyPoll = busyPoll ? PortOptions.BusyPoll() : nil
        settings.force = force
        return settings
    }
}

extension PortRoles {
    var names: [String] { (contains(.lan) ? ["lan"] : []) + (contains(.wan) ? ["wan"] : []) }
}

extension PortMode {
    /// Reason for the mode, in words also when it is the best one.
    var xdpText: String { xdpReason.isEmpty ? "the best that there is" : xdpReason }
    var copyText: String { copyReason.isEmpty ? "the best that there is" : copyReason }
}
