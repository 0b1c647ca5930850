import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import XDP

/// A live gateway that is fed with anything: site 2 of a pair with SAs and policies of every kind.
///
/// What each frame must lead to is not known, but what all of them together must: no frame of memory is lost, whatever
/// arrived was sent, handed to the host or dropped for a reason, and good traffic still flows.
public final class GatewayStress {
    public let network: MemoryNetwork
    public let site: MemorySite
    /// Frames that the ports took.
    public private(set) var taken: UInt64 = 0
    /// Frames that were offered.
    public private(set) var fed = 0

    /// An authentic peer without manners, over an SA of its own.
    public let sealer: RawSealer
    private let sent = UnsafeMutablePointer<XDPDescriptor>.allocate(capacity: sentCapacity)
    private static let sentCapacity = 256

    deinit { sent.deallocate() }

    public init(workers: Int = 1) throws {
        network = try MemoryNetwork(
            TunnelOptions { $0.associations = 2 },
            MemorySite.Options {
                $0.workers = workers
                // Answers are work: as many as can be.
                $0.configure = { $0.icmpErrorsPerSecond = 1_000_000 }
            })
        site = network.right
        let (left, number) = (network.left.plan, 8)
        let parameters = TunnelOptions().parameters(from: left, to: site.plan, number: number, owner: 0)
        try site.builder.addInbound(InboundSA(parameters, engine: OpenSSLEngine(), now: network.clock.now))
        sealer = try RawSealer(parameters, now: network.clock.now)
        // Beside the tunnel: what to let pass, what to discard, and a policy without its SA.
        let here = site.plan
        for family in [AddressFamily.ipv4, .ipv6] {
            let mine = AddressRange(here.network(family))
            let third = AddressRange(SitePlan(3).network(family))
            let any = AddressRange.any(family)
            site.policies += [
                SecurityPolicy(
                    selector: TrafficSelector(source: mine, destination: third), direction: .out,
                    action: .protect(SecurityPolicy.Protection(requestID: 99)), priority: 1),
                SecurityPolicy(
                    selector: TrafficSelector(source: any, destination: any, protocol: IPProtocol.tcp),
                    direction: .out, action: .discard, priority: 2),
                SecurityPolicy(selector: .any(family), direction: .out, action: .bypass, priority: 3),
            ]
        }
        try site.publish()
    }

    /// Puts a frame into a port of one of the workers. Every few frames the workers get their rounds.
    public func feed(_ frame: UnsafeRawBufferPointer, at port: MemorySite.Port) {
        fed += 1
        let queue = site.gateway.queues[fed % site.gateway.queues.count]
        taken += (port == .lan ? queue.lan : queue.wan).deliver(frame) ? 1 : 0
        if fed % 24 == 0 { pump() }
    }

    /// Rounds until the gateway is at rest; the host takes its packets, the wire the rest.
    public func pump() {
        for _ in 0..<4 {
            let moved = site.gateway.pollOnce(now: network.clock.now)
            for queue in site.gateway.queues {
                discardTransmitted(of: queue.lan)
                discardTransmitted(of: queue.wan)
            }
            _ = site.gateway.takeHostPackets()
            _ = site.gateway.takeEvents()
            if moved == 0 { break }
        }
        network.clock.advance(milliseconds: 1)
    }

    private func discardTransmitted(of port: FakeKernel) {
        let count = port.takeTransmitted(into: sent, upTo: Self.sentCapacity)
        _ = port.complete(sent, count: count)
    }

    /// What is wrong with the gateway now; empty when nothing is.
    public func findings() -> [String] {
        // Longer than any packet waits for a neighbour or an SA.
        network.clock.advance(milliseconds: 4_000)
        for _ in 0..<8 { pump() }
        _ = site.takeLAN()
        _ = site.takeWAN()
        var findings: [String] = []
        func check(_ name: String, _ value: UInt64, _ expected: UInt64) {
            if value != expected { findings.append("\(name): \(value), not \(expected)") }
        }
        check("received", site[.received], taken)
        check("handed over", site[.handedOver], site[.takenOver])
        // In: what arrived and what the gateway made itself. Out: sent, to the host, dropped; a packet that was split is
        // replaced by its fragments.
        let ended = site.drops.values.reduce(0, +) + site[.transmitted] + site[.toHost] + site[.fragmented]
        check("ended", ended, site[.received] + site[.icmpErrors] + site[.fragments])
        check("lost frames", UInt64(bitPattern: Int64(site.lostFrames)), 0)

        for family in [AddressFamily.ipv4, .ipv6] {
            let before = site.drops
            let packets = network.packets(family, count: 3)
            let arrived = network.exchange(packets)
            taken += 3
            if arrived != packets.map({ $0.routed(hops: 2) }) || site.drops != before {
                findings.append("good traffic of IPv\(family.rawValue) does not flow: \(site.drops)")
            }
        }
        return findings
    }
}
