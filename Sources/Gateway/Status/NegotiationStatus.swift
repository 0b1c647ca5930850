import ControlPlane
import IKEv2

/// What was negotiated: all IKE SAs with their CHILD_SAs, and what happened on the way.
public struct NegotiationStatus: Codable, Hashable, Sendable {
    public var ikeAssociations: [IKEAssociationStatus]
    /// Since the start of the gateway; `half_open` and `sessions` are as of now.
    public var counters: [EventCount]
}

/// A figure with a name of its own.
public struct EventCount: Codable, Hashable, Sendable {
    public var name: String
    public var count: UInt64
}

/// One IKE SA.
public struct IKEAssociationStatus: Codable, Hashable, Sendable {
    /// For `sluice terminate --ike-id`.
    public var identifier: UInt32
    /// Absent while the responder does not know it yet.
    public var connection: String?
    /// `connecting`, `established`, `rekeying`, `rekeyed` or `deleting`.
    public var state: String
    /// `initiator` or `responder`.
    public var role: String
    /// 16 hexadecimal digits each.
    public var initiatorSPI: String
    public var responderSPI: String
    /// Address and UDP port.
    public var local: String
    public var remote: String
    public var localIdentity: String?
    public var remoteIdentity: String?
    /// `here`, `peer` or `both`; absent: there is no NAT.
    public var nat: String?
    /// In strongSwan's notation.
    public var algorithms: String?
    /// Seconds.
    public var establishedSeconds: Int?
    public var rekeyInSeconds: Int?
    public var reauthenticationInSeconds: Int?
    /// Since the last authentic message of the peer.
    public var silentSeconds: Int?
    public var activeTasks: [String]
    public var queuedTasks: [String]
    public var children: [ChildAssociationStatus]

    enum CodingKeys: String, CodingKey {
        case identifier, connection, state, role
        case initiatorSPI = "initiatorSpi"
        case responderSPI = "responderSpi"
        case local, remote, localIdentity, remoteIdentity, nat, algorithms, establishedSeconds, rekeyInSeconds
        case reauthenticationInSeconds, silentSeconds, activeTasks, queuedTasks, children
    }
}

/// One CHILD_SA: the two SAs of `security_associations` with these SPIs.
public struct ChildAssociationStatus: Codable, Hashable, Sendable {
    /// For `sluice terminate --child-id`.
    public var identifier: UInt32
    public var name: String
    /// `installed`, `rekeying`, `rekeyed` or `deleting`.
    public var state: String
    public var mode: String
    public var requestIdentifier: UInt32
    /// `0x` and eight hexadecimal digits.
    public var inboundSPI: String
    public var outboundSPI: String
    public var encapsulated: Bool
    /// In strongSwan's notation, with the group of its own key exchange.
    public var algorithms: String
    public var extendedSequenceNumbers: Bool
    public var localSelectors: [String]
    public var remoteSelectors: [String]
    public var inboundPackets: UInt64
    public var inboundBytes: UInt64
    public var outboundPackets: UInt64
    public var outboundBytes: UInt64
    public var establishedSeconds: Int
    public var rekeyInSeconds: Int?
    public var expiresInSeconds: Int?

    enum CodingKeys: String, CodingKey {
        case identifier, name, state, mode, requestIdentifier
        case inboundSPI = "inboundSpi"
        case outboundSPI = "outboundSpi"
        case encapsulated, algorithms, extendedSequenceNumbers, localSelectors, remoteSelectors, inboundPackets
        case inboundBytes, outboundPackets, outboundBytes, establishedSeconds, rekeyInSeconds, expiresInSeconds
    }
}
