import Dataplane
import InMemory
import Packets
import Telemetry
import TestSupport

/// More packets for a tunnel than can be carried, at all queues of a gateway.
final class Flood {
    let network: MemoryNetwork
    /// Frames that the gateway's ports took.
    private(set) var taken = 0
    private let frame: [UInt8]

    var site: MemorySite { network.left }

    /// One SA, which worker 0 owns.
    init(workers: Int, ringSize: Int = 512, framesPerWorker: Int = 2048) throws {
        network = try MemoryNetwork(
            TunnelOptions(),
            MemorySite.Options {
                $0.workers = workers
                $0.ringSize = ringSize
                $0.framesPerWorker = framesPerWorker
            })
        let site = network.left
        frame = network.packets(count: 1)[0].framed(to: site.plan.lanPort, from: site.plan.hostStation())
    }

    /// Every receive ring is filled, every worker has a round, and the WAN's link carries up to `link` packets of each queue.
    func round(link: Int = .max) {
        for queue in site.gateway.queues { while queue.lan.deliver(frame) { taken += 1 } }
        site.gateway.pollOnce(now: site.clock.now)
        for queue in site.gateway.queues { queue.wan.transmit(upTo: link) }
        site.clock.advance(milliseconds: 1)
    }

    /// Packets sealed and packets sent in so many rounds.
    func work(rounds: Int, link: Int = .max) -> (sealed: UInt64, sent: UInt64) {
        let before = (sealed: site[.protected], sent: site[.transmitted])
        for _ in 0..<rounds { round(link: link) }
        return (site[.protected] - before.sealed, site[.transmitted] - before.sent)
    }
}
