import Packets

/// An address and a UDP port in host order.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// "192.0.2.1:500", "[2001:db8::1]:500".
    public var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// The two ends of IKE datagrams, as we see them.
public struct Path: Hashable, Sendable {
    public var local: Endpoint
    public var remote: Endpoint

    public init(local: Endpoint, remote: Endpoint) {
        self.local = local
        self.remote = remote
    }

    /// The initiator's path from IKE_AUTH on when ESP is in UDP: port 4500 at both ends, unless the ports were chosen by
    /// configuration.
    var floated: Path {
        var path = self
        if local.port == Session.initialPort { path.local.port = Session.encapsulationPort }
        if remote.port == Session.initialPort { path.remote.port = Session.encapsulationPort }
        return path
    }
}
