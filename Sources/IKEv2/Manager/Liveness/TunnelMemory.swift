import Packets

/// A tunnel that is up, or was when the gateway ended: names, and no keys.
package struct RememberedTunnel: Hashable, Sendable {
    package var connection: String
    package var child: String
    /// The peer's last address; nil: the connection says where it is.
    package var peer: Endpoint?

    package init(connection: String, child: String, peer: Endpoint? = nil) {
        self.connection = connection
        self.child = child
        self.peer = peer
    }
}

/// The tunnels that are to come up again when the gateway is started anew: those that were up and that nobody has ended.
final class TunnelMemory {
    private(set) var tunnels: Set<RememberedTunnel> = []
    /// Changes with `tunnels`. Counted by hand: an observer that looks at the old value costs a copy of all for each tunnel.
    private(set) var version: UInt64 = 0
    /// Tunnels from before the start that are not set up again yet: their connections are not loaded.
    private var restoring: [ChildName: Set<RememberedTunnel>] = [:]

    static let capacity = 65_536

    // MARK: Over a restart

    /// Takes what was up when the gateway ended.
    func restore(_ remembered: [RememberedTunnel]) {
        tunnels = Set(remembered.prefix(Self.capacity))
        version &+= 1
        restoring = Dictionary(grouping: tunnels) { ChildName(connection: $0.connection, child: $0.child) }
            .mapValues { Set($0) }
    }

    /// The tunnels of a child that was loaded; each is to be set up once.
    func takeRestored(_ name: ChildName) -> [RememberedTunnel] {
        Array(restoring.removeValue(forKey: name) ?? [])
    }

    // MARK: Up and down

    /// Whether a child was up where its connection says.
    func has(_ name: ChildName) -> Bool {
        tunnels.contains(RememberedTunnel(connection: name.connection, child: name.child))
    }

    /// A CHILD_SA is up.
    /// - Parameter hasKnownRemote: its connection says where the peer is.
    func remember(_ sa: ChildSA, hasKnownRemote: Bool) {
        add(
            RememberedTunnel(
                connection: sa.connectionName, child: sa.child.name, peer: hasKnownRemote ? nil : sa.path.remote))
    }

    func add(_ tunnel: RememberedTunnel) {
        if tunnels.count < Self.capacity, tunnels.insert(tunnel).inserted { version &+= 1 }
    }

    /// Whether a CHILD_SA that goes is remembered on: it is to come back, or has a successor already.
    /// - Parameter closing: why the whole IKE SA ends; nil: it does not.
    static func keeps(_ child: Child, isUnwanted: Bool, closing: CloseReason?) -> Bool {
        switch closing {
        case .superseded, .rekeyed, .reauthenticated: true
        case _ where isUnwanted: false
        case .peerDead: child.deadPeerAction != .clear
        case .negotiationFailed: child.deadPeerAction != .clear || child.closeAction != .none
        default: child.closeAction != .none
        }
    }

    func remove(_ tunnel: RememberedTunnel) {
        if tunnels.remove(tunnel) != nil { version &+= 1 }
        let name = ChildName(connection: tunnel.connection, child: tunnel.child)
        restoring[name]?.remove(tunnel)
        if restoring[name]?.isEmpty == true { restoring[name] = nil }
    }

    /// A tunnel whose connection may not be loaded any more.
    func remove(_ sa: ChildSA) {
        for peer in [nil, sa.path.remote] {
            remove(RememberedTunnel(connection: sa.connectionName, child: sa.child.name, peer: peer))
        }
    }

    // MARK: All at once

    func keep(_ isKept: (RememberedTunnel) -> Bool) {
        if !tunnels.allSatisfy(isKept) {
            tunnels = tunnels.filter(isKept)
            version &+= 1
        }
        restoring = restoring.mapValues { $0.filter(isKept) }.filter { !$0.value.isEmpty }
    }

    /// An operator has ended what a filter names: it does not come back by itself.
    func forget(_ filter: SAFilter) {
        keep { tunnel in
            filter.connection ?? tunnel.connection != tunnel.connection || filter.child ?? tunnel.child != tunnel.child
        }
    }
}
