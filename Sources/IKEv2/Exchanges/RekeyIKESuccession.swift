import Cryptography
import IKEv2Messages
import IPsec

// How a new IKE SA takes over from the one it replaces (RFC 7296 sections 2.8.2, 2.18 and 2.25.2).

extension Session {
    /// The peer rekeys the IKE SA.
    func respondToIKERekey(_ request: Message, _ step: inout Step) throws(ChildRefusal) -> [Payload] {
        try requireNothingUnderWay()
        guard let connection, let offer = request.securityAssociation, let initiatorNonce = request.nonce?.data else {
            throw ChildRefusal(.invalidSyntax, Explanation("the peer's request is not complete"))
        }
        guard let selected = IKENegotiation.choose(offer, configured: connection.proposals) else {
            throw ChildRefusal(
                .noProposalChosen,
                IKENegotiation.explain(
                    offered: offer, configured: connection.proposals, connection: connection.name))
        }
        guard let peerSPI = selected.peerSPI, peerSPI != 0 else {
            throw ChildRefusal(.invalidSyntax, Explanation("the peer's proposal for an IKE SA has no SPI"))
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
    private func requireNothingUnderWay() throws(ChildRefusal) {
        let isOurs = (active as? RekeyIKEExchange).map { $0.collision == nil } ?? false
        guard case .established(let state) = phase, state.state == .established || isOurs else {
            throw ChildRefusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
        }
        let isBusy =
            active is CreateChildExchange || active is RekeyChildExchange || active is DeleteChildExchange
            || active is DiscardChildExchange
        if isBusy { throw ChildRefusal(.temporaryFailure, Explanation("a child is being made, rekeyed or deleted")) }
    }

    /// A new IKE SA between the same peers, without children yet. `nonces` and `spis`: the initiator's first.
    func successor(
        _ selected: SelectedIKE, role: IKERole, secret: SecretBytes?, nonces: ([UInt8], [UInt8]),
        spis: (UInt64, UInt64), _ step: inout Step
    ) throws(ChildRefusal) -> Session {
        guard case .established(let state) = phase, let secret else {
            throw ChildRefusal(.temporaryFailure, Explanation("there is no IKE SA to replace"))
        }
        let keys: IKEKeys
        do {
            keys = try state.protection.keys.rekeyed(
                selected, secret: secret, initiatorNonce: nonces.0, responderNonce: nonces.1, initiatorSPI: spis.0,
                responderSPI: spis.1)
        } catch {
            throw ChildRefusal(.temporaryFailure, Explanation("no keys for the new IKE SA", details: ["\(error)"]))
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
