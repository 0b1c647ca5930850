/// Two gateways whose WANs meet in a switch: lanA – gatewayA – wire – gatewayB – lanB.
///
/// The wire is a bridge in a namespace of its own: a packet that an AF_XDP socket sends and another one takes is seen by
/// nobody in between, but on the bridge it passes an ordinary kernel and can be captured.
public struct TwoGateways: Sendable {
    public let lanA: NetworkNamespace
    public let gatewayA: NetworkNamespace
    public let wire: NetworkNamespace
    public let gatewayB: NetworkNamespace
    public let lanB: NetworkNamespace

    /// The wire's interface towards gateway A.
    public static let portA = "portA"

    /// Builds the topology, hands it to `body`, and removes it whatever happens.
    public static func with<T>(queues: Int = 1, _ body: (borrowing TwoGateways) throws -> T) throws -> T {
        let topology = try TwoGateways(queues: queues)
        defer { topology.remove() }
        return try body(topology)
    }

    private init(queues: Int) throws {
        lanA = try NetworkNamespace("lanA")
        gatewayA = try NetworkNamespace("gwA")
        wire = try NetworkNamespace("wire")
        gatewayB = try NetworkNamespace("gwB")
        lanB = try NetworkNamespace("lanB")
        // Without multicast snooping a bridge is a plain switch, and sends nothing of its own.
        try wire.ip("link add br0 type bridge stp_state 0 mcast_snooping 0 forward_delay 0", "link set br0 up")
        try gatewayA.connect("wan0", to: wire, Self.portA, queues: queues)
        try gatewayB.connect("wan0", to: wire, "portB", queues: queues)
        try wire.ip("link set portA master br0", "link set portB master br0")
        try gatewayA.connect("lan0", to: lanA, "eth0", queues: queues)
        try gatewayB.connect("lan0", to: lanB, "eth0", queues: queues)
        try gatewayA.addGatewayAddresses(.a)
        try gatewayB.addGatewayAddresses(.b)
        try lanA.addHostAddresses(.a)
        try lanB.addHostAddresses(.b)
    }

    public func gateway(_ side: Side) -> NetworkNamespace { side == .a ? gatewayA : gatewayB }
    public func lan(_ side: Side) -> NetworkNamespace { side == .a ? lanA : lanB }

    private func remove() { [lanA, gatewayA, wire, gatewayB, lanB].forEach { $0.remove() } }
}

/// One gateway, side A, and a namespace where something else plays side B: lanA – gateway – peer (– lanB).
///
/// The peer's WAN interface is `uwan`. It has side B's addresses when the peer is a program that uses this kernel, and
/// none when another kernel (User Mode Linux) takes the interface over.
public struct GatewayAndPeer: Sendable {
    public let lanA: NetworkNamespace
    public let gateway: NetworkNamespace
    public let peer: NetworkNamespace
    public let lanB: NetworkNamespace

    /// What plays side B.
    public enum Peer: Sendable {
        /// A program in the namespace that sends and receives whole frames.
        case program
        /// A virtual machine that owns `uwan` and `ulan`.
        case virtualMachine
    }

    public init(_ kind: Peer, queues: Int = 1) throws {
        lanA = try NetworkNamespace("lanA")
        gateway = try NetworkNamespace("gw")
        peer = try NetworkNamespace("peer")
        lanB = try NetworkNamespace("lanB")
        try gateway.connect("wan0", to: peer, "uwan", queues: queues)
        try gateway.connect("lan0", to: lanA, "eth0", queues: queues)
        try lanB.connect("eth0", to: peer, "ulan")
        try gateway.addGatewayAddresses(.a)
        try lanA.addHostAddresses(.a)
        try lanB.addHostAddresses(.b)
        if kind == .program {
            try peer.ip(
                "link set uwan address \(Side.b.wanHardwareAddress)",
                "addr add \(Side.b.outer(.ipv4))/24 dev uwan", "addr add \(Side.b.outer(.ipv6))/64 dev uwan nodad")
        }
    }

    /// Builds the topology, hands it to `body`, and removes it whatever happens.
    public static func with<T>(_ kind: Peer, queues: Int = 1, _ body: (borrowing GatewayAndPeer) throws -> T) throws
        -> T
    {
        let topology = try GatewayAndPeer(kind, queues: queues)
        defer { topology.remove() }
        return try body(topology)
    }

    public func remove() { [lanA, gateway, peer, lanB].forEach { $0.remove() } }
}
