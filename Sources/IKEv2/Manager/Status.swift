import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// An IKE SA as `swanctl --list-sas` and `sluice status` show it.
package struct IKESAStatus: Sendable {
    package enum State: String, Hashable, Sendable {
        case connecting = "CONNECTING"
        case established = "ESTABLISHED"
        case rekeying = "REKEYING"
        case rekeyed = "REKEYED"
        case deleting = "DELETING"
    }

    package var id: UInt32
    /// "" while the responder does not know it yet.
    package var connectionName: String
    package var state: State
    package var isInitiator: Bool
    package var initiatorSPI: UInt64
    package var responderSPI: UInt64
    package var path: Path
    package var localIdentity: Identity?
    package var remoteIdentity: Identity?
    package var hasLocalNAT: Bool
    package var hasRemoteNAT: Bool
    package var suite: IKECipherSuite?
    package var function: PRF?
    package var keyExchange: KeyExchangeMethod?
    /// Of the manager's clock; nil: not yet, or never.
    package var establishedAt: Instant?
    package var rekeyAt: Instant?
    package var reauthenticateAt: Instant?
    package var lastReceivedAt: Instant?
    /// Names of the exchanges under way and waiting: swanctl's `tasks-active`, `tasks-queued`.
    package var activeTasks: [String]
    package var queuedTasks: [String]
    package var children: [ChildSAStatus]

    package init(
        id: UInt32, connectionName: String, state: State, isInitiator: Bool, initiatorSPI: UInt64,
        responderSPI: UInt64, path: Path, localIdentity: Identity? = nil, remoteIdentity: Identity? = nil,
        hasLocalNAT: Bool = false, hasRemoteNAT: Bool = false, suite: IKECipherSuite? = nil, function: PRF? = nil,
        keyExchange: KeyExchangeMethod? = nil, establishedAt: Instant? = nil, rekeyAt: Instant? = nil,
        reauthenticateAt: Instant? = nil, lastReceivedAt: Instant? = nil, activeTasks: [String] = [],
        queuedTasks: [String] = [], children: [ChildSAStatus] = []
    ) {
        self.id = id
        self.connectionName = connectionName
        self.state = state
        self.isInitiator = isInitiator
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.path = path
        self.localIdentity = localIdentity
        self.remoteIdentity = remoteIdentity
        self.hasLocalNAT = hasLocalNAT
        self.hasRemoteNAT = hasRemoteNAT
        self.suite = suite
        self.function = function
        self.keyExchange = keyExchange
        self.establishedAt = establishedAt
        self.rekeyAt = rekeyAt
        self.reauthenticateAt = reauthenticateAt
        self.lastReceivedAt = lastReceivedAt
        self.activeTasks = activeTasks
        self.queuedTasks = queuedTasks
        self.children = children
    }
}

/// A CHILD_SA in the same listings.
package struct ChildSAStatus: Sendable {
    package enum State: String, Hashable, Sendable {
        case installed = "INSTALLED"
        case rekeying = "REKEYING"
        case rekeyed = "REKEYED"
        case deleting = "DELETING"
        case deleted = "DELETED"
    }

    package var sa: ChildSA
    package var state: State
    package var usage: ChildUsage
    /// Of the manager's clock; nil: never.
    package var rekeyAt: Instant?
    package var expiresAt: Instant?

    package init(sa: ChildSA, state: State, usage: ChildUsage, rekeyAt: Instant? = nil, expiresAt: Instant? = nil) {
        self.sa = sa
        self.state = state
        self.usage = usage
        self.rekeyAt = rekeyAt
        self.expiresAt = expiresAt
    }
}
