import Packets

/// An address and a UDP port in host order.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var port: UInt16

    package init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// "192.0.2.1:500", "[2001:db8::1]:500".
    package var description: String {
        address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// The two ends of IKE datagrams, as we see them.
package struct Path: Hashable, Sendable {
    package var local: Endpoint
    package var remote: Endpoint

    package init(local: Endpoint, remote: Endpoint) {
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
