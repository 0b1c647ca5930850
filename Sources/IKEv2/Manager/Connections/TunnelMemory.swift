/// A tunnel that is up, or was when the gateway ended: names, and no keys.
public struct RememberedTunnel: Hashable, Sendable {
    public var connection: String
    public var child: String
    /// Where the peer was; nil: where the connection says.
    public var peer: Endpoint?

    public init(connection: String, child: String, peer: Endpoint? = nil) {
        self.connection = connection
        self.child = child
        self.peer = peer
    }
}

/// The tunnels that are to come up again when the gateway is started anew: those that were up and that nobody has ended.
struct TunnelMemory {
    private(set) var tunnels: Set<RememberedTunnel> = []
    /// Changes with `tunnels`. Counted by hand: an observer that looks at the old value costs a copy of all for each tunnel.
    private(set) var version: UInt64 = 0
    /// From before the start, and not set up again yet: their connections are not loaded.
    private var restoring: Set<RememberedTunnel> = []

    static let capacity = 65_536

    func has(_ owner: CoverTable.Owner) -> Bool {
        tunnels.contains(RememberedTunnel(connection: owner.connection, child: owner.child))
    }

    mutating func add(_ tunnel: RememberedTunnel) {
        if tunnels.count < Self.capacity, tunnels.insert(tunnel).inserted { version &+= 1 }
    }

    mutating func remove(_ tunnel: RememberedTunnel) {
        if tunnels.remove(tunnel) != nil { version &+= 1 }
        restoring.remove(tunnel)
    }

    /// A tunnel whose connection may not be loaded any more.
    mutating func remove(_ sa: ChildSA) {
        for peer in [nil, sa.path.remote] {
            remove(RememberedTunnel(connection: sa.connectionName, child: sa.child.name, peer: peer))
        }
    }

    mutating func keep(_ isKept: (RememberedTunnel) -> Bool) {
        if !tunnels.allSatisfy(isKept) {
            tunnels = tunnels.filter(isKept)
            version &+= 1
        }
        restoring = restoring.filter(isKept)
    }

    mutating func restore(_ remembered: [RememberedTunnel]) {
        tunnels = Set(remembered.prefix(Self.capacity))
        version &+= 1
        restoring = tunnels
    }

    /// Those of a child that was loaded; each is to be set up once.
    mutating func takeRestored(connection: String, child: String) -> [RememberedTunnel] {
        if restoring.isEmpty { return [] }
        let meant = restoring.filter { $0.connection == connection && $0.child == child }
        restoring.subtract(meant)
        return Array(meant)
    }
}

extension SessionManager {
    /// What is up, or is to come up again, for whoever keeps it over a restart.
    public var rememberedTunnels: Set<RememberedTunnel> { tunnelMemory.tunnels }

    /// Changes with them.
    public var rememberedVersion: UInt64 { tunnelMemory.version }

    /// What was up when the gateway ended. It is set up again when its connection is loaded, whatever `start_action` says.
    public func restore(_ tunnels: [RememberedTunnel]) { tunnelMemory.restore(tunnels) }

    func restoreTunnels(_ children: [Child], of connection: Connection) {
        for child in children where child.isNegotiated {
            peerCalls.allow(connection.name, child.name)
            for tunnel in tunnelMemory.takeRestored(connection: connection.name, child: child.name) {
                guard !child.startAction.starts || tunnel.peer != nil else { continue }
                bringUp(
                    connection, [ConnectionAttempt.Wish(child.name)], towards: tunnel.peer, isStanding: true,
                    isEndless: true)
            }
        }
    }

    // MARK: Up and down

    /// A CHILD_SA is up.
    func remember(_ sa: ChildSA) {
        peerCalls.allow(sa.connectionName, sa.child.name)
        tunnelMemory.add(tunnel(of: sa))
    }

    /// A CHILD_SA is down. It is remembered on when it is to come back, or has a successor already.
    func forgetDown(_ sa: ChildSA, isUnwanted: Bool, closing: CloseReason?) {
        if isShuttingDown { return }
        if closing != .peerDead {
            peerCalls.keepQuiet(sa.connectionName, until: after(seconds: Self.lateInSeconds))
        }
        guard let connection = connectionTable[sa.connectionName],
            let child = connection.children.first(where: { $0.name == sa.child.name })
        else { return tunnelMemory.remove(sa) }
        let isKept =
            switch closing {
            case .superseded, .rekeyed, .reauthenticated: true
            case _ where isUnwanted: false
            case .peerDead: child.deadPeerAction != .clear
            case .negotiationFailed: child.deadPeerAction != .clear || child.closeAction != .none
            default: child.closeAction != .none
            }
        if !isKept, !isUp(connection, child) { tunnelMemory.remove(sa) }
    }

    /// An operator ends what matches: it does not come back by itself.
    func forgetTunnels(_ filter: SAFilter) {
        if filter.ikeID == nil, filter.childID == nil {
            for connection in connectionTable.all where filter.connection ?? connection.name == connection.name {
                for child in connection.negotiated where filter.child ?? child.name == child.name {
                    peerCalls.end(CoverTable.Owner(connection: connection.name, child: child.name))
                }
            }
            tunnelMemory.keep { tunnel in
                filter.connection ?? tunnel.connection != tunnel.connection
                    || filter.child ?? tunnel.child != tunnel.child
            }
            return
        }
        for record in matching(filter) {
            for sa in record.session.currentChildren where filter.matches(sa) {
                peerCalls.end(CoverTable.Owner(connection: sa.connectionName, child: sa.child.name))
                tunnelMemory.remove(sa)
            }
        }
    }

    /// A peer of which nothing but its last address is known, and who is not there any more.
    func forgetUnreached(_ attempt: ConnectionAttempt) {
        guard let remote = attempt.key.remote, !isShuttingDown, !isReplacing(attempt) else { return }
        for wish in attempt.wishes {
            tunnelMemory.remove(
                RememberedTunnel(connection: attempt.key.connection, child: wish.child, peer: remote))
        }
    }

    /// Forgets what is not loaded any more, or not yet: what comes by the control socket comes in any order.
    func keepTunnels() {
        peerCalls.keep { connectionTable[$0] != nil }
    }

    /// The configuration is complete: what it does not name has no tunnel to come back.
    public func forgetUnloadedTunnels(at now: UInt64) {
        run(at: now) {
            tunnelMemory.keep { connectionTable.child($0.child, of: $0.connection) != nil }
        }
    }

    private func tunnel(of sa: ChildSA) -> RememberedTunnel {
        let hasKnownRemote = connectionTable[sa.connectionName]?.hasKnownRemote ?? false
        return RememberedTunnel(
            connection: sa.connectionName, child: sa.child.name, peer: hasKnownRemote ? nil : sa.path.remote)
    }
}
