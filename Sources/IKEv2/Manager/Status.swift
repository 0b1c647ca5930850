import Cryptography
import IKEv2Messages
import IPsec

/// An IKE SA as `swanctl --list-sas` and `sluice status` show it.
public struct IKESAStatus: Sendable {
    public enum State: String, Hashable, Sendable {
        case connecting = "CONNECTING"
        case established = "ESTABLISHED"
        case rekeying = "REKEYING"
        case rekeyed = "REKEYED"
        case deleting = "DELETING"
    }

    public var id: UInt32
    /// "" while the responder does not know it yet.
    public var connectionName: String
    public var state: State
    public var isInitiator: Bool
    public var initiatorSPI: UInt64
    public var responderSPI: UInt64
    public var path: Path
    public var localIdentity: Identity?
    public var remoteIdentity: Identity?
    public var hasLocalNAT: Bool
    public var hasRemoteNAT: Bool
    public var suite: IKECipherSuite?
    public var function: PRF?
    public var keyExchange: KeyExchangeMethod?
    /// Nanoseconds of the manager's clock; nil: not yet, or never.
    public var establishedAt: UInt64?
    public var rekeyAt: UInt64?
    public var reauthenticateAt: UInt64?
    public var lastReceivedAt: UInt64?
    /// Names of the exchanges under way and waiting: swanctl's `tasks-active`, `tasks-queued`.
    public var activeTasks: [String]
    public var queuedTasks: [String]
    public var children: [ChildSAStatus]

    public init(
        id: UInt32, connectionName: String, state: State, isInitiator: Bool, initiatorSPI: UInt64,
        responderSPI: UInt64, path: Path, localIdentity: Identity? = nil, remoteIdentity: Identity? = nil,
        hasLocalNAT: Bool = false, hasRemoteNAT: Bool = false, suite: IKECipherSuite? = nil, function: PRF? = nil,
        keyExchange: KeyExchangeMethod? = nil, establishedAt: UInt64? = nil, rekeyAt: UInt64? = nil,
        reauthenticateAt: UInt64? = nil, lastReceivedAt: UInt64? = nil, activeTasks: [String] = [],
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
public struct ChildSAStatus: Sendable {
    public enum State: String, Hashable, Sendable {
        case installed = "INSTALLED"
        case rekeying = "REKEYING"
        case rekeyed = "REKEYED"
        case deleting = "DELETING"
        case deleted = "DELETED"
    }

    public var sa: ChildSA
    public var state: State
    public var usage: ChildUsage
    /// Nanoseconds of the manager's clock; nil: never.
    public var rekeyAt: UInt64?
    public var expiresAt: UInt64?

    public init(sa: ChildSA, state: State, usage: ChildUsage, rekeyAt: UInt64? = nil, expiresAt: UInt64? = nil) {
        self.sa = sa
        self.state = state
        self.usage = usage
        self.rekeyAt = rekeyAt
        self.expiresAt = expiresAt
    }
}
