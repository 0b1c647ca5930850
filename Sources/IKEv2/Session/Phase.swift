import Cryptography
import IKEv2Messages

/// What a session waits for. Each phase has what there can be in it and no more: no keys before the key exchange, no
/// identities before they are proven.
enum Phase {
    /// Not even begun.
    case starting
    /// Initiator: the answer to IKE_SA_INIT.
    case initial(InitialExchange)
    /// Both: IKE_AUTH.
    case authenticating(Authenticating)
    /// The IKE SA can do everything.
    case established(Established)
    /// Responder: the peer was refused in IKE_AUTH; only that answer is repeated, until the time is up.
    case refused(Protection, CloseReason)
    case closed

    /// The keys of SK payloads, once there are some.
    var protection: Protection? {
        switch self {
        case .starting, .initial, .closed: nil
        case .authenticating(let state): state.protection
        case .established(let state): state.protection
        case .refused(let protection, _): protection
        }
    }

    /// The peer was refused, and there is no IKE SA.
    var isRefused: Bool { if case .refused = self { true } else { false } }

    /// Whether requests of ours may begin.
    var isOpen: Bool {
        switch self {
        case .starting, .initial, .refused, .closed: false
        case .authenticating, .established: true
        }
    }
}

/// The keys of an IKE SA, and the ciphers made from them.
struct Protection {
    let selected: SelectedIKE
    let keys: IKEKeys
    let outbound: SessionCipher
    let inbound: SessionCipher

    init(_ selected: SelectedIKE, keys: IKEKeys, role: IKERole) {
        self.selected = selected
        self.keys = keys
        outbound = keys.cipher(sender: role)
        inbound = keys.cipher(sender: role.peer)
    }
}

/// Between IKE_SA_INIT and the end of IKE_AUTH: what the AUTH payloads cover (RFC 7296 section 2.15).
struct Authenticating {
    let protection: Protection
    /// IKE_SA_INIT as it was on the wire.
    let initialRequest: [UInt8]
    let initialResponse: [UInt8]
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    /// What the peer may be; the initiator knows it.
    let candidateSet: CandidateSet
    /// The authorities that the peer trusts, by its CERTREQ payloads in IKE_SA_INIT.
    let certificateRequests: [CertificateRequestPayload]

    var candidates: [Connection] { candidateSet.connections }
}

/// An authenticated IKE SA.
struct Established {
    let protection: Protection
    let localIdentity: Identity
    let remoteIdentity: Identity
    /// Nanoseconds, as all times here.
    let establishedAt: UInt64
    /// nil: never.
    var rekeyAt: UInt64?
    var reauthenticateAt: UInt64?
    var expiresAt: UInt64?
    /// Rekeys of the IKE SA that came to nothing, one after the other.
    var failedRekeys = 0
    var state = IKESAStatus.State.established
}

extension Established {
    /// Up now, by authentication or by a rekey. Rekeys come up to `randomTime` earlier by chance; the hard limit is
    /// `overTime` after the first of them.
    init(_ protection: Protection, local: Identity, remote: Identity, connection: Connection?, _ step: Step) {
        self.protection = protection
        localIdentity = local
        remoteIdentity = remote
        establishedAt = step.now
        guard let connection else { return }
        func due(_ time: UInt64) -> UInt64? {
            if time == 0 { return nil }
            let early = step.environment.random(below: .seconds(min(connection.randomTime, time - 1)))
            return step.now.addingWithoutOverflow(.seconds(time)) - early
        }
        rekeyAt = due(connection.rekeyTime)
        reauthenticateAt = due(connection.reauthenticationTime)
        let times = [connection.rekeyTime, connection.reauthenticationTime].filter { $0 > 0 }
        expiresAt = times.min().map { time in
            step.now.addingWithoutOverflow(.seconds(time)).addingWithoutOverflow(.seconds(connection.overTime))
        }
    }
}

/// What the peer said that it can do.
struct PeerCapabilities {
    /// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383).
    var fragmentation = false
    /// CHILDLESS_IKEV2_SUPPORTED (RFC 6023).
    var childless = false
    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427); nil: only the older methods.
    var signatureHashes: [SignatureHash]?
}
