import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// CREATE_CHILD_SA that replaces the IKE SA by one with fresh keys (RFC 7296 section 1.3.2): the initiator's state.
///
///     SA Ni KEi -->
///               <-- SA Nr KEr | N(error)
///     then the children belong to the new IKE SA, and the initiator deletes the old one
///
/// | | | RFC 7296 |
/// |-|-|-|
/// | Request | the method in use first, a new SPI | 2.18 |
/// | Response | the new IKE SA inherits the children and all that waits, and the old one is deleted | 2.8 |
/// | Collision: the peer rekeys too | answered as usual, and noted here; the new IKE SA with the lowest nonce goes | 2.8.2 |
/// | Collision: a child is being made, rekeyed or deleted | TEMPORARY_FAILURE | 2.25.1, 2.25.2 |
/// | Collision: the peer deletes the IKE SA | what it made meanwhile inherits | 2.25.2 |
/// | N(INVALID_KE_PAYLOAD), N(TEMPORARY_FAILURE) | tried again as for a child | 1.3, 2.25 |
/// | Other errors | the IKE SA stays; again before its hard limit, every second time with a new IKE SA beside it | 2.8 |
struct RekeyIKEExchange: PlainExchange {
    /// The peer's rekey at the same time: the IKE SA that it made.
    struct Collision {
        let nonces: CollisionNonces
        let session: Session
    }

    /// The offer that waits for the answer.
    private struct Offer {
        let spi: UInt64
        let nonce: [UInt8]
        let keyExchange: KeyExchange
    }

    let type = ExchangeType.createChild
    let name = "IKE_REKEY"
    let rekeysIKE = true
    let survivesIKERekey = false
    private var collision: Collision?
    private var retry = CreateChildRetry()
    private var offered: Offer?

    /// The peer's new IKE SA, unless it has gone meanwhile.
    private var rival: Collision? { collision.flatMap { $0.session.isEstablished ? $0 : nil } }

    // MARK: - Initiator

    static func begin(in session: Session) {
        guard session.lifecycle.takeRekey() else { return }
        if !session.exchanges.rekeysIKE { session.exchanges.add(RekeyIKEExchange()) }
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        guard session.lifecycle.isInUse, let protection = session.phase.protection, let connection = session.connection
        else {
            return nil
        }
        let methods = connection.proposals.flatMap(\.keyExchanges)
        let present = protection.selected.keyExchange
        guard let method = retry.method ?? (methods.contains(present) ? present : methods.first) else { return nil }
        do {
            let offer = Offer(
                spi: step.environment.randomSPI(), nonce: step.nonce(), keyExchange: try method.initiate())
            offered = offer
            session.lifecycle.rekeyBegan()
            return [
                .securityAssociation(IKENegotiation.offer(connection.proposals, spi: offer.spi)),
                .nonce(NoncePayload(offer.nonce)), .keyExchange(offer.keyExchange.payload),
            ]
        } catch {
            Self.failed(error.explanation, in: session, &step)
            return nil
        }
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        guard let offered, let connection = session.connection else { return }
        do {
            if let refusal = response.errorNotify {
                try refused(refusal, connection, session, &step)
                return
            }
            let (new, nonce) = try accept(response, offered, connection, session, &step)
            let nonces = CollisionNonces(initiator: offered.nonce, responder: nonce)
            if let rival, nonces.loses(to: rival.nonces) {
                // Ours is redundant, and we delete it. The peer deletes the old one.
                new.lifecycle.rekeyBegan()
                new.exchanges.add(DeleteIKEExchange(reason: .rekeyed))
                step.act(.accompanied(by: new))
                session.handOver(to: rival.session, &step)
            } else {
                rival?.session.becameRedundant(&step)
                session.handOver(to: new, &step)
                session.exchanges.add(DeleteIKEExchange(reason: .rekeyed), first: true)
            }
        } catch {
            Self.failed(error.explanation, in: session, &step)
        }
    }

    private func refused(
        _ refusal: NotifyPayload, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(Refusal) {
        if let rival {
            // The peer was faster, and refuses because of that (section 2.8.2).
            session.handOver(to: rival.session, &step)
            return
        }
        session.lifecycle.rekeyRefused()
        let isTriedAgain = retry.tryAgain(
            refusal, offered: connection.proposals.flatMap(\.keyExchanges),
            refused: offered?.keyExchange.method, in: session, &step
        ) { retry in
            var next = RekeyIKEExchange()
            next.retry = retry
            return next
        }
        if isTriedAgain { return }
        throw Refusal(
            refusal.type,
            refusal.type == .noProposalChosen
                ? IKENegotiation.explainRefusal(of: connection.proposals, connection: connection.name)
                : Explanation("the peer answers \(refusal.type)"))
    }

    /// The new IKE SA, and the nonce of the responder.
    private func accept(
        _ response: Message, _ offered: Offer, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(Refusal) -> (Session, [UInt8]) {
        guard let answer = response.securityAssociation, let nonce = response.nonce?.data,
            let selected = IKENegotiation.check(answer, offered: connection.proposals),
            let peerSPI = selected.peerSPI, peerSPI != 0
        else {
            throw Refusal(
                .invalidSyntax,
                Explanation(
                    "the peer chose what was not offered",
                    details: [
                        "offered: \(connection.proposals.map(\.description).joined(separator: ", "))",
                        "chosen: \(response.securityAssociation?.shown ?? "nothing")",
                    ], remedy: "change the peer"))
        }
        let secret = try KeyExchange.finish(
            offered.keyExchange, selected: selected.keyExchange, with: response.keyExchange)
        let new = try Self.successor(
            of: session, selected, role: .initiator, secret: secret, nonces: (offered.nonce, nonce),
            spis: (offered.spi, peerSPI),
            &step)
        return (new, nonce)
    }

    /// The rekey came to nothing. Where trying again does not help either, a new IKE SA has to take the place of this one.
    private static func failed(_ explanation: Explanation, in session: Session, _ step: inout Step) {
        step.note(.warning, "the IKE SA could not be rekeyed: \(explanation)")
        let isLimited = session.connection?.rekeyTime ?? 0 > 0
        let failures = session.lifecycle.rekeyFailed(isLimited: isLimited, step)
        if isLimited, failures > 0, failures.isMultiple(of: 2) { step.askForSuccessors(of: session.currentChildren) }
    }

    /// The old IKE SA is gone before the answer came. What the peer made meanwhile ends by itself.
    mutating func abandoned(in session: Session, _ step: inout Step) { collision?.session.becameRedundant(&step) }

    // MARK: - Responder

    var awaitsCollision: Bool { collision == nil }

    mutating func peerRekeyedIKE(_ collision: Collision) -> Bool {
        self.collision = collision
        return true
    }

    mutating func heirOfPeer() -> Session? {
        guard let rival else { return nil }
        collision = nil
        return rival.session
    }

    /// The peer rekeys the IKE SA.
    static func respond(to request: Message, in session: Session, _ step: inout Step) throws(Refusal) -> [Payload] {
        try requireNothingUnderWay(in: session)
        guard let connection = session.connection, let offer = request.securityAssociation,
            let initiatorNonce = request.nonce?.data
        else {
            throw Refusal(.invalidSyntax, Explanation("the peer's request is not complete"))
        }
        guard let selected = IKENegotiation.choose(offer, configured: connection.proposals) else {
            throw Refusal(
                .noProposalChosen,
                IKENegotiation.explain(
                    offered: offer, configured: connection.proposals, connection: connection.name))
        }
        guard let peerSPI = selected.peerSPI, peerSPI != 0 else {
            throw Refusal(.invalidSyntax, Explanation("the peer's proposal for an IKE SA has no SPI"))
        }
        let answer = try selected.keyExchange.respond(to: request.keyExchange)
        let nonce = step.nonce()
        let spi = step.environment.randomSPI()
        let new = try successor(
            of: session, selected, role: .responder, secret: answer.secret, nonces: (initiatorNonce, nonce),
            spis: (peerSPI, spi),
            &step)
        let nonces = CollisionNonces(initiator: initiatorNonce, responder: nonce)
        if session.exchanges.peerRekeyedIKE(Collision(nonces: nonces, session: new)) {
            new.lifecycle.awaitsDecision(until: step.now + RekeyTimes.grace(step.settings))
            step.actAfterAnswer(.accompanied(by: new))
        } else {
            session.handOver(to: new, &step)
        }
        return [
            .securityAssociation(IKENegotiation.answer(selected, spi: spi)), .nonce(NoncePayload(nonce)),
            .keyExchange(answer.payload),
        ]
    }

    /// Children that are being made, rekeyed or deleted would not know which IKE SA is theirs (section 2.25.1).
    private static func requireNothingUnderWay(in session: Session) throws(Refusal) {
        let active = session.exchanges.active
        guard session.lifecycle.isUp || session.isEstablished && active?.awaitsCollision == true else {
            throw Refusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
        }
        if active?.blocksIKERekey == true {
            throw Refusal(.temporaryFailure, Explanation("a child is being made, rekeyed or deleted"))
        }
    }

    // MARK: - Both

    /// A new IKE SA between the same peers, without children yet. `nonces` and `spis`: the initiator's first.
    private static func successor(
        of session: Session, _ selected: SelectedIKE, role: IKERole, secret: SecretBytes?,
        nonces: ([UInt8], [UInt8]), spis: (UInt64, UInt64), _ step: inout Step
    ) throws(Refusal) -> Session {
        guard case .established(let state) = session.phase, let secret else {
            throw Refusal(.temporaryFailure, Explanation("there is no IKE SA to replace"))
        }
        let keys: IKEKeys
        do {
            keys = try state.protection.keys.rekeyed(
                selected, secret: secret, initiatorNonce: nonces.0, responderNonce: nonces.1, initiatorSPI: spis.0,
                responderSPI: spis.1)
        } catch {
            throw Refusal(.temporaryFailure, Explanation("no keys for the new IKE SA", details: ["\(error)"]))
        }
        step.environment.logKeys(keys.keyLogLine)
        selected.noteShortNonce(role == .initiator ? nonces.1 : nonces.0, &step)
        var established = Established(
            Protection(selected, keys: keys, role: role), local: state.localIdentity, remote: state.remoteIdentity,
            connection: session.connection, step)
        // Fresh keys are no fresh authentication (section 2.8.3).
        established.reauthenticateAt = state.reauthenticateAt
        if let at = state.reauthenticateAt, let connection = session.connection {
            let hard = at + .seconds(connection.overTime)
            established.expiresAt = min(established.expiresAt ?? hard, hard)
        }
        return session.successor(established, role: role, initiatorSPI: spis.0, responderSPI: spis.1, step)
    }
}
