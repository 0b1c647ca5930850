import Cryptography
import Dataplane
import IPsec
import Packets
import Policy

/// Sites and the tunnels between them; one clock, one thread.
public final class MemoryNetwork {
    public let clock = MemoryClock()
    public let sites: [MemorySite]

    /// Sites 1 to `count`, without tunnels.
    public init(sites count: UInt32 = 2, _ options: MemorySite.Options = MemorySite.Options()) throws {
        let clock = self.clock
        sites = try (1...count).map { try MemorySite(SitePlan($0), options, clock: clock) }
    }

    /// Two sites with a tunnel between them.
    public convenience init(
        _ tunnel: TunnelOptions, _ options: MemorySite.Options = MemorySite.Options()
    ) throws {
        try self.init(options)
        try connect(left, right, tunnel)
    }

    private convenience init(_ options: MemorySite.Options) throws { try self.init(sites: 2, options) }

    public var left: MemorySite { sites[0] }
    public var right: MemorySite { sites[1] }

    /// SAs and policies of both directions, for all traffic between the two networks.
    public func connect(_ one: MemorySite, _ other: MemorySite, _ options: TunnelOptions = TunnelOptions()) throws {
        try addAssociations(from: one, to: other, options)
        try addAssociations(from: other, to: one, options)
        one.policies += Self.policies(of: one.plan, towards: other.plan, outer: options.outer)
        other.policies += Self.policies(of: other.plan, towards: one.plan, outer: options.outer)
        try one.publish()
        try other.publish()
    }

    /// The SAs of one direction, without policies.
    public func addAssociations(from: MemorySite, to: MemorySite, _ options: TunnelOptions, first: Int = 0) throws {
        for number in first..<first + options.associations {
            let sending = options.parameters(
                from: from.plan, to: to.plan, number: number, owner: number % from.builder.workers)
            let receiving = options.parameters(
                from: from.plan, to: to.plan, number: number, owner: number % to.builder.workers)
            let outbound = try OutboundSA(
                sending, engine: options.engine, pathMTU: from.interfaces[1].mtu, now: clock.now)
            let inbound = try InboundSA(receiving, engine: options.engine, now: clock.now)
            try from.builder.addOutbound(outbound)
            try to.builder.addInbound(inbound)
            from.outbound.append(outbound)
            to.inbound.append(inbound)
        }
    }

    /// What protects the traffic of a site with another one, both families, to hosts and to the gateway itself.
    public static func policies(of site: SitePlan, towards peer: SitePlan, outer: AddressFamily) -> [SecurityPolicy] {
        let requestID = TunnelOptions.requestID(site, peer)
        let sending = SecurityPolicy.Protection(
            requestID: requestID, source: site.wanAddress(outer), destination: peer.wanAddress(outer))
        let receiving = SecurityPolicy.Protection(
            requestID: requestID, source: peer.wanAddress(outer), destination: site.wanAddress(outer))
        return [AddressFamily.ipv4, .ipv6].flatMap { family in
            let away = TrafficSelector(source: site.network(family), destination: peer.network(family))
            return [
                SecurityPolicy(selector: away, direction: .out, action: .protect(sending)),
                SecurityPolicy(selector: away.reversed, direction: .forward, action: .protect(receiving)),
                SecurityPolicy(selector: away.reversed, direction: .in, action: .protect(receiving)),
            ]
        }
    }

    /// Packets leave hosts of one site; what arrives in the network of the other. `wire` may change the frames between.
    public func exchange(
        _ packets: [[UInt8]], from: MemorySite, to: MemorySite, burst: Int = 32, wire: ([[UInt8]]) -> [[UInt8]] = { $0 }
    ) -> [[UInt8]] {
        from.receiveFromLAN(packets, burst: burst)
        to.receive(wire(from.takeWAN()), at: .wan, burst: burst)
        return to.takeLANPackets()
    }

    public func exchange(_ packets: [[UInt8]], wire: ([[UInt8]]) -> [[UInt8]] = { $0 }) -> [[UInt8]] {
        exchange(packets, from: left, to: right, wire: wire)
    }

    /// Packets from a host of the left site to one of the right.
    public func packets(_ family: AddressFamily = .ipv4, count: Int, size: Int = 100) -> [[UInt8]] {
        (0..<count).map { number in
            IPPacket(from: left.plan.host(family), to: right.plan.host(family), size: size, seed: number).bytes
        }
    }
}
