import Cryptography
import IKEv2Messages
import IPsec

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
struct RekeyIKEExchange: InitiatedExchange {
    /// The peer's rekey at the same time: the IKE SA that it made.
    struct Collision {
        let nonces: CollisionNonces
        let session: Session
    }

    let type = ExchangeType.createChild
    let name = "IKE_REKEY"
    var collision: Collision?
    /// The peer's new IKE SA, unless it has gone meanwhile.
    var rival: Collision? { collision.flatMap { $0.session.isEstablished ? $0 : nil } }
    private var retry = CreateChildRetry()
    /// What waits for the answer.
    private var offered: (spi: UInt64, nonce: [UInt8], keyExchange: KeyExchange)?

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        guard session.isInUse, let protection = session.phase.protection, let connection = session.connection else {
            return nil
        }
        let methods = connection.proposals.flatMap(\.keyExchanges)
        let present = protection.selected.keyExchange
        guard let method = retry.method ?? (methods.contains(present) ? present : methods.first) else { return nil }
        do {
            let keyExchange = try Session.keyExchange(method)
            let spi = Session.randomSPI(step.environment)
            let nonce = Session.nonce(step)
            offered = (spi, nonce, keyExchange)
            session.setState(.rekeying)
            return [
                .securityAssociation(IKENegotiation.offer(connection.proposals, spi: spi)),
                .nonce(NoncePayload(nonce)), .keyExchange(keyExchange.payload),
            ]
        } catch {
            session.keepIKEForNow(error.explanation, &step)
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
                new.setState(.rekeying)
                new.enqueue(DeleteIKEExchange(reason: .rekeyed))
                step.act(.accompanied(by: new))
                session.handOver(to: rival.session, &step)
            } else {
                rival?.session.setRedundant(&step)
                session.handOver(to: new, &step)
                session.enqueue(DeleteIKEExchange(reason: .rekeyed), first: true)
            }
        } catch {
            session.keepIKEForNow(error.explanation, &step)
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
        session.setState(.established)
        let isTriedAgain = session.tryAgain(
            refusal, retry, offered: connection.proposals.flatMap(\.keyExchanges),
            refused: offered?.keyExchange.method, &step
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
        _ response: Message, _ offered: (spi: UInt64, nonce: [UInt8], keyExchange: KeyExchange),
        _ connection: Connection, _ session: Session, _ step: inout Step
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
        let secret = try Session.secret(
            selected.keyExchange, own: offered.keyExchange, peer: response.keyExchange)
        let new = try session.successor(
            selected, role: .initiator, secret: secret, nonces: (offered.nonce, nonce), spis: (offered.spi, peerSPI),
            &step)
        return (new, nonce)
    }

    /// The old IKE SA is gone before the answer came. What the peer made meanwhile ends by itself.
    mutating func abandoned(in session: Session, _ step: inout Step) { collision?.session.setRedundant(&step) }
}

extension Session {
    func beginIKERekey(_ step: inout Step) {
        guard case .established(var state) = phase, state.state == .established else { return }
        state.rekeyAt = nil
        phase = .established(state)
        let exchanges = queue.map(\.exchange) + (active.map { [$0] } ?? [])
        if !exchanges.contains(where: { $0 is RekeyIKEExchange }) { enqueue(RekeyIKEExchange()) }
    }

    /// The peer deletes an IKE SA that both have rekeyed at once: what it made inherits, and our own rekey is forgotten
    /// (sections 2.8.2 and 2.25.2).
    func inheritFromCollision(_ step: inout Step) {
        guard var rekey = active as? RekeyIKEExchange, let rival = rekey.rival else { return }
        rekey.collision = nil
        active = rekey
        handOver(to: rival.session, &step)
    }

    /// A rekey came to nothing. The IKE SA carries on until its hard limit, and the rekey is tried again before that; where
    /// that does not help either, a new IKE SA has to take its place.
    fileprivate func keepIKEForNow(_ explanation: Explanation, _ step: inout Step) {
        step.note(.warning, "the IKE SA could not be rekeyed: \(explanation)")
        guard case .established(var state) = phase else { return }
        state.state = .established
        state.failedRekeys += 1
        let isLimited = connection?.rekeyTime ?? 0 > 0
        if isLimited {
            state.rekeyAt = Self.retryTime(failures: state.failedRekeys, before: state.expiresAt, step)
        }
        phase = .established(state)
        if isLimited, state.failedRekeys.isMultiple(of: 2) { askForSuccessor(&step) }
    }
}

// MARK: - Responder

extension Session {
    /// The peer rekeys the IKE SA.
    func respondToIKERekey(_ request: Message, _ step: inout Step) throws(Refusal) -> [Payload] {
        try requireNothingUnderWay()
        guard let connection, let offer = request.securityAssociation, let initiatorNonce = request.nonce?.data else {
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
        let own = try ownKeyExchange(selected.keyExchange, for: request)
        let secret = try Self.secret(selected.keyExchange, own: own, peer: request.keyExchange)
        let nonce = Self.nonce(step)
        let spi = Self.randomSPI(step.environment)
        let new = try successor(
            selected, role: .responder, secret: secret, nonces: (initiatorNonce, nonce), spis: (peerSPI, spi), &step)
        if var ours = active as? RekeyIKEExchange {
            new.awaitDecision(&step)
            ours.collision = .init(
                nonces: CollisionNonces(initiator: initiatorNonce, responder: nonce), session: new)
            active = ours
            step.actAfterAnswer(.accompanied(by: new))
        } else {
            handOver(to: new, &step)
        }
        var payloads: [Payload] = [
            .securityAssociation(IKENegotiation.answer(selected, spi: spi)), .nonce(NoncePayload(nonce)),
        ]
        if let own { payloads.append(.keyExchange(own.payload)) }
        return payloads
    }

    /// Children that are being made, rekeyed or deleted would not know which IKE SA is theirs (section 2.25.1).
    private func requireNothingUnderWay() throws(Refusal) {
        let isOurs = (active as? RekeyIKEExchange).map { $0.collision == nil } ?? false
        guard case .established(let state) = phase, state.state == .established || isOurs else {
            throw Refusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
        }
        let isBusy =
            active is CreateChildExchange || active is RekeyChildExchange || active is DeleteChildExchange
            || active is DiscardChildExchange
        if isBusy { throw Refusal(.temporaryFailure, Explanation("a child is being made, rekeyed or deleted")) }
    }

    /// A new IKE SA between the same peers, without children yet. `nonces` and `spis`: the initiator's first.
    func successor(
        _ selected: SelectedIKE, role: IKERole, secret: SecretBytes?, nonces: ([UInt8], [UInt8]),
        spis: (UInt64, UInt64), _ step: inout Step
    ) throws(Refusal) -> Session {
        guard case .established(let state) = phase, let secret else {
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
        noteShortNonce(role == .initiator ? nonces.1 : nonces.0, selected, &step)
        var established = Established(
            Protection(selected, keys: keys, role: role), local: state.localIdentity, remote: state.remoteIdentity,
            connection: connection, step)
        // Fresh keys are no fresh authentication (section 2.8.3).
        established.reauthenticateAt = state.reauthenticateAt
        if let at = state.reauthenticateAt, let connection {
            let hard = at.addingWithoutOverflow(.seconds(connection.overTime))
            established.expiresAt = min(established.expiresAt ?? hard, hard)
        }
        let new = Session(
            id: step.environment.uniqueID(), role: role, initiatorSPI: spis.0, responderSPI: spis.1,
            connection: connection, path: path, phase: .established(established), now: step.now)
        new.peer = peer
        new.nat = nat
        return new
    }

    /// `new` inherits everything; this one only waits for its end.
    func handOver(to new: Session, _ step: inout Step) {
        deleteEarly(new.earlyDeletes, &step)
        new.earlyDeletes = []
        new.childRecords = childRecords
        childRecords = []
        new.queue += queue.filter { !($0.exchange is RekeyIKEExchange || $0.exchange is LivenessExchange) }
        queue = []
        new.takeOver()
        setRedundant(&step)
        step.actAfterAnswer(.replaced(by: new))
        let usage = { [environment = step.environment] in environment.usage(of: $0) }
        step.reportAfterAnswer(.rekeyed(new: new.status(at: step.now, usage: usage)))
    }

    /// An IKE SA that waited for a decision has won.
    private func takeOver() {
        halfOpenUntil = nil
        setState(.established)
    }

    /// Nobody needs it any more. Whoever made it deletes it; if that does not happen, it ends by itself.
    func setRedundant(_ step: inout Step) {
        guard case .established(var state) = phase else { return }
        halfOpenUntil = nil
        state.state = .rekeyed
        state.rekeyAt = nil
        state.reauthenticateAt = nil
        let end = Self.endOfGrace(step)
        state.expiresAt = min(state.expiresAt ?? end, end)
        phase = .established(state)
    }

    /// One of two new IKE SAs, until it is known which one stays: it makes no children, and begins nothing.
    private func awaitDecision(_ step: inout Step) {
        setState(.rekeying)
        halfOpenUntil = Self.endOfGrace(step)
    }

    /// It is one of two new IKE SAs, and it is not known yet which one stays.
    var isUndecided: Bool { isEstablished && !replaced && halfOpenUntil != nil }

    /// It was one of two new IKE SAs, and is not the one that stays, or that is not known yet.
    var isSpare: Bool { replaced || (isEstablished && halfOpenUntil != nil) }

    /// How long an IKE SA that is not needed any more waits for the peer to delete it.
    private static func endOfGrace(_ step: Step) -> UInt64 { step.now.addingWithoutOverflow(grace(step.settings)) }
}
