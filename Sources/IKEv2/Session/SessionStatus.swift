import Cryptography
import IPsec

extension Session {
    /// The session as listings show it. `usage`: the counters of a child; nil when it is not installed.
    public func status(at now: UInt64, usage: (ChildSA) -> ChildUsage?) -> IKESAStatus {
        var status = IKESAStatus(
            id: id, connectionName: connection?.name ?? "", state: .connecting, isInitiator: role == .initiator,
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, path: path, hasLocalNAT: nat.isLocal,
            hasRemoteNAT: nat.isRemote, lastReceivedAt: lastHeardAt, queuedTasks: queue.map(\.exchange.name))
        if let selected = phase.protection?.selected {
            status.suite = selected.suite
            status.function = selected.function
            status.keyExchange = selected.keyExchange
        }
        switch phase {
        case .initial: status.activeTasks = ["IKE_INIT"]
        case .authenticating where role == .responder: status.activeTasks = ["IKE_AUTH"]
        case .established(let established):
            status.state = established.state
            status.localIdentity = established.localIdentity
            status.remoteIdentity = established.remoteIdentity
            status.establishedAt = established.establishedAt
            status.rekeyAt = established.rekeyAt
            status.reauthenticateAt = established.reauthenticateAt
        default: break
        }
        if let active { status.activeTasks = [active.name] }
        status.children = childRecords.map { $0.status(usage: usage($0.sa)) }
        return status
    }

    /// When the IKE SA has to be authenticated anew, nanoseconds; nil: never, or not yet known. The manager does it, with
    /// a new session.
    public var reauthenticateAt: UInt64? {
        if case .established(let state) = phase { state.reauthenticateAt } else { nil }
    }

    /// Who the two sides have proven to be; nil before that.
    public var identities: (local: Identity, remote: Identity)? {
        if case .established(let state) = phase { (state.localIdentity, state.remoteIdentity) } else { nil }
    }
}
