import Cryptography
import IPsec
import Packets

extension IKESAStatus {
    /// A session as listings show it. `usage`: the counters of a child; nil when it is not installed.
    init(_ session: Session, at now: Instant, usage: (ChildSA) -> ChildUsage?) {
        self.init(
            id: session.id, connectionName: session.connection?.name ?? "", state: .connecting,
            isInitiator: session.role == .initiator, initiatorSPI: session.initiatorSPI,
            responderSPI: session.responderSPI, path: session.path, hasLocalNAT: session.nat.isLocal,
            hasRemoteNAT: session.nat.isRemote, lastReceivedAt: session.lastHeardAt,
            queuedTasks: session.exchanges.waitingNames)
        if let selected = session.phase.protection?.selected {
            suite = selected.suite
            function = selected.function
            keyExchange = selected.keyExchange
        }
        switch session.phase {
        case .initial: activeTasks = ["IKE_INIT"]
        case .authenticating where session.role == .responder: activeTasks = ["IKE_AUTH"]
        case .established(let established):
            state = established.state
            localIdentity = established.localIdentity
            remoteIdentity = established.remoteIdentity
            establishedAt = established.establishedAt
            rekeyAt = established.rekeyAt
            reauthenticateAt = established.reauthenticateAt
        default: break
        }
        if let active = session.exchanges.active { activeTasks = [active.name] }
        children = session.childTable.entries.map { ChildSAStatus($0, usage: usage($0.sa)) }
    }
}

extension ChildSAStatus {
    /// A child of a session. `usage`: its counters; nil when it is not installed.
    init(_ entry: ChildTable.Entry, usage: ChildUsage?) {
        self.init(
            sa: entry.sa, state: entry.state.shown, usage: usage ?? ChildUsage(),
            rekeyAt: entry.rekeyAt ?? entry.plannedRekeyAt, expiresAt: entry.expiresAt)
    }
}
