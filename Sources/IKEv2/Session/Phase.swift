import Cryptography
import IKEv2Messages
import Packets

/// Phase of a session: what it waits for. Each phase has what there can be in it and no more: no keys before the key exchange, no
/// identities before they are proven.
enum Phase {
    /// The session has not even begun.
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

    var established: Established? { if case .established(let state) = self { state } else { nil } }

    var isAuthenticating: Bool { if case .authenticating = self { true } else { false } }

    /// The peer was refused, and there is no IKE SA.
    var isRefused: Bool { if case .refused = self { true } else { false } }

    /// Whether requests of ours may begin.
    var isOpen: Bool {
        switch self {
        case .starting, .initial, .refused, .closed: false
        case .authenticating, .established: true
        }
    }

    /// Whether it is the turn of exchanges of this type: before the peer is authenticated there is one type at a time.
    func admits(_ type: ExchangeType) -> Bool {
        switch self {
        case .starting, .initial, .refused, .closed: false
        case .authenticating(let state): state.awaitedExchanges.first == type
        case .established: true
        }
    }
}

/// The phase of an IKE SA, and all that may change it.
struct Lifecycle {
    private(set) var phase: Phase
    /// The time by which the negotiation, or the decision between two rekeys, has to be done; nil: it is, or is given
    /// up by itself.
    private(set) var halfOpenUntil: Instant?

    init(_ phase: Phase) { self.phase = phase }

    // MARK: - The negotiation

    /// Initiator: IKE_SA_INIT goes out, or was refused by somebody.
    mutating func began(_ exchange: InitialExchange) { phase = .initial(exchange) }

    /// IKE_SA_INIT is done, or an exchange between it and IKE_AUTH; keys that were there before are given up. `end`: by
    /// when the peer has to be done with IKE_AUTH; nil: we are the initiator.
    mutating func agreedOnKeys(_ state: Authenticating, halfOpenUntil end: Instant?) {
        phase = .authenticating(state)
        halfOpenUntil = end
    }

    /// Responder: the answer may be lost, so the session stays to repeat it until the half-open time is over.
    mutating func refused(_ protection: Protection, _ reason: CloseReason) { phase = .refused(protection, reason) }

    /// IKE_AUTH is done.
    mutating func established(_ state: Established) {
        phase = .established(state)
        halfOpenUntil = nil
    }

    mutating func closed() { phase = .closed }

    // MARK: - Rekey and end of what is up

    private mutating func change(_ body: (inout Established) -> Void) {
        guard case .established(var state) = phase else { return }
        body(&state)
        phase = .established(state)
    }

    /// The peer wants to be asked for its identity again by this time.
    mutating func reauthenticates(by time: Instant) {
        change { $0.reauthenticateAt = min($0.reauthenticateAt ?? .never, time) }
    }

    /// Our Delete waits for its turn, or for its answer.
    mutating func deletionBegan() { change { $0.state = .deleting } }

    /// A rekey is to begin, which is not asked for again by time. False: the IKE SA has other things to do.
    mutating func takeRekey() -> Bool {
        guard isUp else { return false }
        change { $0.rekeyAt = nil }
        return true
    }

    /// A rekey of ours waits for its answer.
    mutating func rekeyBegan() { change { $0.state = .rekeying } }

    /// The peer refuses it, and it may be tried again.
    mutating func rekeyRefused() { change { $0.state = .established } }

    /// Notes that the rekey came to nothing. The IKE SA carries on until its hard limit, and the rekey is tried again
    /// before that.
    /// - Returns: how often that has happened, one after the other.
    mutating func rekeyFailed(isLimited: Bool, _ step: Step) -> Int {
        var failures = 0
        change { state in
            state.state = .established
            state.failedRekeys += 1
            failures = state.failedRekeys
            if isLimited { state.rekeyAt = RekeyTimes.retry(failures, before: state.expiresAt, step) }
        }
        return failures
    }

    /// Notes that it is one of two new IKE SAs, until it is known which one stays: it makes no children, and begins
    /// nothing.
    mutating func awaitsDecision(until end: Instant) {
        rekeyBegan()
        halfOpenUntil = end
    }

    /// Notes that it takes over, whether or not it had to wait for a decision.
    mutating func tookOver() {
        rekeyRefused()
        halfOpenUntil = nil
    }

    /// Nobody needs it any more. Whoever made it deletes it; if that does not happen, it ends by itself.
    mutating func becameRedundant(until end: Instant) {
        guard isEstablished else { return }
        halfOpenUntil = nil
        change { state in
            state.state = .rekeyed
            state.rekeyAt = nil
            state.reauthenticateAt = nil
            state.expiresAt = min(state.expiresAt ?? end, end)
        }
    }

    // MARK: - Questions

    private var state: IKESAStatus.State? {
        if case .established(let established) = phase { established.state } else { nil }
    }

    var isEstablished: Bool { state != nil }

    /// Neither being rekeyed nor on its way out.
    var isUp: Bool { state == .established }

    /// Whether it is not on its way out: what begins now may come to an end.
    var isInUse: Bool { state == .established || state == .rekeying }

    /// A new IKE SA has taken over.
    var isReplaced: Bool { state == .rekeyed }

    /// Whether it is one of two new IKE SAs, and it is not known yet which one stays.
    var isUndecided: Bool { isEstablished && !isReplaced && halfOpenUntil != nil }

    /// Whether it was one of two new IKE SAs, and is not the one that stays, or that is not known yet.
    var isSpare: Bool { isReplaced || (isEstablished && halfOpenUntil != nil) }
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

/// State between IKE_SA_INIT and the end of IKE_AUTH: the keys, and what the AUTH payloads cover (RFC 7296 section 2.15).
struct Authenticating {
    let agreement: KeyAgreement
    private(set) var protection: Protection
    /// The exchanges that are still to come before the IKE SA is up, the next one first.
    private(set) var awaitedExchanges: [ExchangeType]
    /// IKE_SA_INIT as it was on the wire.
    let initialRequest: [UInt8]
    let initialResponse: [UInt8]
    /// The connections that the peer may have; the initiator knows its own.
    let candidateSet: CandidateSet
    /// The authorities that the peer trusts, by its CERTREQ payloads in IKE_SA_INIT.
    let certificateRequests: [CertificateRequestPayload]

    /// Derives the first keys. `secret`: g^ir of IKE_SA_INIT.
    init(
        _ agreement: KeyAgreement, secret: SecretBytes, initialRequest: [UInt8], initialResponse: [UInt8],
        candidateSet: CandidateSet, certificateRequests: [CertificateRequestPayload],
        awaitedExchanges: [ExchangeType] = [.authentication]
    ) throws(CryptographyError) {
        self.agreement = agreement
        protection = try agreement.protection(secret: secret)
        self.initialRequest = initialRequest
        self.initialResponse = initialResponse
        self.candidateSet = candidateSet
        self.certificateRequests = certificateRequests
        self.awaitedExchanges = awaitedExchanges
    }

    /// Replaces the keys by those that follow, with one secret more.
    mutating func rederiveKeys(with contribution: KeyAgreement.Contribution) throws(CryptographyError) {
        protection = try agreement.protection(after: protection.keys, contribution)
    }

    /// The exchange that was awaited is done, and it is not the one that authenticates.
    mutating func exchangeIsDone() {
        if awaitedExchanges.count > 1 { awaitedExchanges.removeFirst() }
    }

    var initiatorNonce: [UInt8] { agreement.initiatorNonce }
    var responderNonce: [UInt8] { agreement.responderNonce }
    var candidates: [Connection] { candidateSet.connections }
}

/// An authenticated IKE SA.
struct Established {
    let protection: Protection
    let localIdentity: Identity
    let remoteIdentity: Identity
    let establishedAt: Instant
    /// The time; nil: never.
    var rekeyAt: Instant?
    var reauthenticateAt: Instant?
    var expiresAt: Instant?
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
        func due(_ time: UInt64) -> Instant? {
            if time == 0 { return nil }
            let early = step.environment.random(below: .seconds(min(connection.randomTime, time - 1)))
            return step.now + .seconds(time) - early
        }
        rekeyAt = due(connection.rekeyTime)
        reauthenticateAt = due(connection.reauthenticationTime)
        let times = [connection.rekeyTime, connection.reauthenticationTime].filter { $0 > 0 }
        expiresAt = times.min().map { time in
            step.now + .seconds(time) + .seconds(connection.overTime)
        }
    }
}

/// Capabilities that the peer has announced.
struct PeerCapabilities {
    /// IKEV2_FRAGMENTATION_SUPPORTED (RFC 7383).
    var fragmentation = false
    /// CHILDLESS_IKEV2_SUPPORTED (RFC 6023).
    var childless = false
    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427); nil: only the older methods.
    var signatureHashes: [SignatureHash]?

    /// Capabilities of which nothing is known yet.
    init() {}

    /// The capabilities by its message of IKE_SA_INIT.
    init(_ message: Message) {
        fragmentation = message.has(.fragmentationSupported)
        childless = message.has(.childlessSupported)
        signatureHashes = message.notify(.signatureHashAlgorithms)?.signatureHashes
    }
}

extension SelectedIKE {
    /// A nonce of less than half the key of the PRF is against RFC 7296 section 2.10, and no reason to be without a tunnel.
    func noteShortNonce(_ nonce: [UInt8], _ step: inout Step) {
        let least = function.outputLength / 2
        if nonce.count >= least { return }
        step.note(
            .warning,
            "the peer's nonce has \(nonce.count) bytes, and \(function.name) wants \(least): update the peer, "
                + "or choose a PRF with a shorter key")
    }
}
