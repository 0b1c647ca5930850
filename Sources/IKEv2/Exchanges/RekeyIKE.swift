import Cryptography
import IKEv2Messages
import IPsec

/// Replaces the IKE SA by one with fresh keys (RFC 7296 sections 1.3.2, 2.8, 2.8.2 and 2.18).
///
///     SA Ni KEi -->
///               <-- SA Nr KEr
///     then the children belong to the new IKE SA, and the one who began it deletes the old one
///
/// When the peer rekeys meanwhile, its request is answered as usual, and noted here; the nonces decide which of the two
/// new IKE SAs inherits the children, and which goes.
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
    ) throws(ChildRefusal) {
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
        throw ChildRefusal(
            refusal.type,
            refusal.type == .noProposalChosen
                ? IKENegotiation.explainRefusal(of: connection.proposals, connection: connection.name)
                : Explanation("the peer answers \(refusal.type)"))
    }

    /// The new IKE SA, and the nonce of the responder.
    private func accept(
        _ response: Message, _ offered: (spi: UInt64, nonce: [UInt8], keyExchange: KeyExchange),
        _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(ChildRefusal) -> (Session, [UInt8]) {
        guard let answer = response.securityAssociation, let nonce = response.nonce?.data,
            let selected = IKENegotiation.check(answer, offered: connection.proposals),
            let peerSPI = selected.peerSPI, peerSPI != 0
        else {
            throw ChildRefusal(
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
