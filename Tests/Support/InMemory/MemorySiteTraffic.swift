import Dataplane
import InMemory
import Packets
import Telemetry
import XDP

extension MemorySite {
    public enum Port: Sendable, CaseIterable { case lan, wan }

    /// Frames arrive at a port, the n-th at queue `queue(n)`. Every few frames the workers get a round. What the workers
    /// sent is then to be had from `takeLAN` and `takeWAN`. Returns how many frames the port took.
    @discardableResult
    public func receive(_ frames: [[UInt8]], at port: Port, burst: Int = 32, queue: (Int) -> Int = { _ in 0 }) -> Int {
        var taken = 0
        for (number, frame) in frames.enumerated() {
            let queues = gateway.queues[queue(number)]
            taken += (port == .lan ? queues.lan : queues.wan).deliver(frame) ? 1 : 0
            if number % burst == burst - 1 { round() }
        }
        settle()
        return taken
    }

    /// IP packets from hosts of the site's network.
    @discardableResult
    public func receiveFromLAN(
        _ packets: [[UInt8]], vlan: UInt16? = nil, burst: Int = 32, queue: (Int) -> Int = { _ in 0 }
    ) -> Int {
        receive(
            packets.map { $0.framed(to: plan.lanPort, from: plan.hostStation(), vlan: vlan) }, at: .lan, burst: burst,
            queue: queue)
    }

    /// One round of all workers; the kernel completes what they sent.
    public func round() {
        gateway.pollOnce(now: clock.now)
        collect()
    }

    /// Rounds until nothing moves any more and all completed frames are back.
    public func settle() {
        for _ in 0..<256 {
            let moved = gateway.pollOnce(now: clock.now)
            if collect() == 0, moved == 0 { break }
        }
        for _ in 0..<4 { gateway.pollOnce(now: clock.now) }
    }

    @discardableResult
    private func collect() -> Int {
        var count = 0
        for queue in gateway.queues {
            let lan = queue.lan.transmitted()
            let wan = queue.wan.transmitted()
            sentByLAN += lan
            sentByWAN += wan
            count += lan.count + wan.count
        }
        return count
    }

    /// The frames that the LAN port sent since the last call.
    public func takeLAN() -> [[UInt8]] {
        defer { sentByLAN = [] }
        return sentByLAN
    }

    /// The frames that the WAN port sent since the last call.
    public func takeWAN() -> [[UInt8]] {
        defer { sentByWAN = [] }
        return sentByWAN
    }

    /// The IP packets that the LAN port sent since the last call.
    public func takeLANPackets() -> [[UInt8]] { takeLAN().map { SentFrame($0).packet } }

    /// Frames that are neither in a pool, nor with the kernel for reception, nor the host's. Nothing may be under way.
    public var lostFrames: Int {
        settle()
        return gateway.umem.frameCount - gateway.accountedFrames
    }
}
