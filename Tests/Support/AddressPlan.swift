/// IPv4 or IPv6, as a test parameter.
public enum IPVersion: String, Sendable, CaseIterable, CustomStringConvertible {
    case ipv4, ipv6
    public var description: String { rawValue }
}

/// One end of the tunnel: side A is the first gateway and its LAN, side B the other.
public enum Side: Int, Sendable, CaseIterable, CustomStringConvertible {
    case a = 1, b = 2

    public var other: Side { self == .a ? .b : .a }
    public var description: String { self == .a ? "A" : "B" }

    /// The gateway's address on the WAN.
    public func outer(_ version: IPVersion) -> String {
        version == .ipv4 ? "10.99.0.\(rawValue)" : "fd00:99::\(rawValue)"
    }

    /// The LAN behind the gateway.
    public func prefix(_ version: IPVersion) -> String {
        version == .ipv4 ? "192.168.\(rawValue).0/24" : "fd00:\(rawValue)::/64"
    }

    /// The gateway's address on its LAN.
    public func router(_ version: IPVersion) -> String {
        version == .ipv4 ? "192.168.\(rawValue).1" : "fd00:\(rawValue)::1"
    }

    /// The host on the LAN.
    public func host(_ version: IPVersion) -> String {
        version == .ipv4 ? "192.168.\(rawValue).2" : "fd00:\(rawValue)::2"
    }

    /// The locally administered hardware address of this side's WAN port.
    public var wanHardwareAddress: String { "02:00:00:00:99:0\(rawValue)" }

    /// The locally administered hardware address of this side's LAN port.
    public var lanHardwareAddress: String { "02:00:00:00:0\(rawValue):01" }
}

extension NetworkNamespace {
    /// Makes this namespace a gateway's: a WAN port, a LAN port, both with addresses of both families.
    ///
    /// The kernel does not forward here; whatever passes went through the gateway under test.
    public func addGatewayAddresses(_ side: Side) throws {
        try ip(
            "link set wan0 address \(side.wanHardwareAddress)", "link set lan0 address \(side.lanHardwareAddress)",
            "addr add \(side.outer(.ipv4))/24 dev wan0", "addr add \(side.outer(.ipv6))/64 dev wan0 nodad",
            "addr add \(side.router(.ipv4))/24 dev lan0", "addr add \(side.router(.ipv6))/64 dev lan0 nodad")
    }

    /// Makes this namespace a host on a LAN whose way out is the gateway.
    public func addHostAddresses(_ side: Side) throws {
        try ip(
            "addr add \(side.host(.ipv4))/24 dev eth0", "addr add \(side.host(.ipv6))/64 dev eth0 nodad",
            "route add default via \(side.router(.ipv4))", "route add ::/0 via \(side.router(.ipv6))")
    }
}
