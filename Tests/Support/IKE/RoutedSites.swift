/// Two gateways with a router between them: lanA – gatewayA – router – gatewayB – lanB.
///
/// Gateway A's WAN is a network of its own, 10.98.0.0/24, so that the router can hide it behind its own address.
public struct RoutedSites: Sendable {
    /// What the router does besides forwarding.
    public enum Path: Sendable {
        /// Its link to gateway B takes packets of this size at most.
        case narrow(mtu: Int)
        /// It hides gateway A behind its own address (nftables masquerade).
        case masquerade
    }

    public let lanA: NetworkNamespace
    public let gatewayA: NetworkNamespace
    public let router: NetworkNamespace
    public let gatewayB: NetworkNamespace
    public let lanB: NetworkNamespace

    /// Gateway A's own address.
    public static let addressA = "10.98.0.1"
    /// The router's address towards gateway B, which A has for B when it is hidden.
    public static let mask = "10.99.0.254"

    /// Builds the topology, hands it to `body`, and removes it whatever happens.
    public static func with<T>(_ path: Path, _ body: (borrowing RoutedSites) throws -> T) throws -> T {
        let topology = try RoutedSites(path)
        defer { topology.remove() }
        return try body(topology)
    }

    private init(_ path: Path) throws {
        lanA = try NetworkNamespace("lanA")
        gatewayA = try NetworkNamespace("gwA")
        router = try NetworkNamespace("router")
        gatewayB = try NetworkNamespace("gwB")
        lanB = try NetworkNamespace("lanB")
        var mtu = 1500
        if case .narrow(let size) = path { mtu = size }
        try gatewayA.connect("wan0", to: router, "inner")
        try gatewayB.connect("wan0", to: router, "outer")
        try router.ip(
            "link set outer mtu \(mtu)", "addr add 10.98.0.254/24 dev inner", "addr add \(Self.mask)/24 dev outer")
        try router.sysctl("net.ipv4.ip_forward=1")
        try gatewayA.connect("lan0", to: lanA, "eth0")
        try gatewayB.connect("lan0", to: lanB, "eth0")
        try gatewayA.addGatewayAddresses(.a)
        try gatewayA.ip(
            "addr del \(Side.a.outer(.ipv4))/24 dev wan0", "addr add \(Self.addressA)/24 dev wan0",
            "route add default via 10.98.0.254")
        try gatewayB.addGatewayAddresses(.b)
        try gatewayB.ip("route add 10.98.0.0/24 via \(Self.mask)")
        try lanA.addHostAddresses(.a)
        try lanB.addHostAddresses(.b)
        if case .masquerade = path { try masquerade(ports: "10000-19999") }
    }

    /// Puts new connections of gateway A behind these ports of the router, and forgets those that it has.
    public func changeMapping(ports: String) throws {
        try run(["nft", "delete", "table", "ip", "hide"], in: router)
        try masquerade(ports: ports)
        // The kernel drops what it knows of masqueraded connections when their address goes.
        try router.ip("addr del \(Self.mask)/24 dev outer", "addr add \(Self.mask)/24 dev outer")
    }

    private func masquerade(ports: String) throws {
        let table = """
            table ip hide {
                chain postrouting {
                    type nat hook postrouting priority 100
                    oifname "outer" meta l4proto udp masquerade to :\(ports)
                }
            }

            """
        try run(["nft", "-f", "-"], in: router, input: table)
    }

    private func remove() { [lanA, gatewayA, router, gatewayB, lanB].forEach { $0.remove() } }
}
