import IKEv2Messages
import IPsec
import Packets

/// A request of IKE_AUTH: the responder's side, in phases. Each has what the one before has found.
///
///     identifying ── the peer's proof holds ──► proving ── ours is made ──► up, with the child or without it
///          │ no connection is for it, or no proof holds        │
///          └──────────────► refused: the answer is kept until the half-open time is over ◄──┘
///
/// While a question is open, repetitions of the request are not looked at (`MessageWindow`), and the half-open time goes on.
struct AuthenticationRequest {
    private let request: Message
    private let form: MessageForm.Name
    private let state: Authenticating
    private let path: Path
    private var phase: Phase

    private enum Phase {
        case identifying(PeerSearch)
        case proving(IdentifiedPeer)
        /// The answer is sent.
        case answered
    }

    /// Refuses what can be refused at once; else there is a question.
    static func begin(
        _ request: Message, _ form: MessageForm.Name, _ state: Authenticating, path: Path, in session: Session,
        _ step: inout Step
    ) {
        // The initiator may have gone to port 4500.
        session.path = path
        do throws(Refusal) {
            let search = try PeerSearch(request, form, state)
            var new = AuthenticationRequest(
                request: request, form: form, state: state, path: path, phase: .identifying(search))
            let question = new.goOn(search.next(in: session, step), in: session, &step)
            session.proceed(&new, question, &step)
        } catch {
            refuse(error, request, state, path, in: session, &step)
        }
    }

    /// What follows from an answer: the next question; nil: the request is answered.
    mutating func answered(_ answer: Answer, in session: Session, _ step: inout Step) -> Question? {
        switch (phase, answer) {
        case (.identifying(let search), .peer(let result)):
            return goOn(search.answered(result, in: session, step), in: session, &step)
        case (.proving(let peer), .proof(let result)):
            switch result {
            case .success(let proof): isProved(proof, to: peer, in: session, &step)
            case .failure(let refusal):
                refuse(Refusal(.authenticationFailed, refusal.explanation), in: session, &step)
            }
            return nil
        default: return nil
        }
    }

    // MARK: - Identifying

    private mutating func goOn(
        _ finding: PeerSearch.Finding, in session: Session, _ step: inout Step
    ) -> Question? {
        switch finding {
        case .ask(let question): return .peer(question)
        case .found(let peer): return prove(to: peer, in: session, &step)
        case .none(let refusal):
            refuse(refusal, in: session, &step)
            return nil
        }
    }

    // MARK: - Proving

    private mutating func prove(to peer: IdentifiedPeer, in session: Session, _ step: inout Step) -> Question? {
        // A peer that has lost the earlier one says so: then it is replaced.
        if !request.has(.initialContact),
            step.environment.refusesDuplicate(peer.connection, local: peer.local, remote: peer.verified.identity)
        {
            let explanation = Explanation(
                "\(peer.verified.identity) is connected already",
                remedy: "set connections.\(peer.connection.name).unique = replace")
            refuse(Refusal(.authenticationFailed, explanation), in: session, &step)
            return nil
        }
        guard let own = peer.local.payload else {
            let explanation = Explanation(
                "we have no identity", remedy: "set connections.\(peer.connection.name).local.id")
            refuse(Refusal(.authenticationFailed, explanation), in: session, &step)
            return nil
        }
        var context = AuthenticationContext(peer.connection, session, step)
        context.verifiedPeer = peer.verified
        phase = .proving(peer)
        return .proof(
            ProofQuestion(
                octets: state.octets(of: own, sender: .responder), peer: peer.verified.identity,
                requests: request.certificateRequests, context: context))
    }

    // MARK: - The answer

    /// IDr [CERT…] AUTH, and the child.
    private mutating func isProved(
        _ proof: AuthenticationProof, to peer: IdentifiedPeer, in session: Session, _ step: inout Step
    ) {
        phase = .answered
        session.connection = peer.connection
        session.isAuthenticated(local: peer.local, remote: peer.verified.identity, state, &step)
        step.reportAfterAnswer(.established(initialContact: request.has(.initialContact)))
        if request.configuration?.type == .request {
            step.note(
                .warning,
                "\(peer.verified.identity) asks for an address and other settings (CFG_REQUEST), which a "
                    + "site-to-site gateway does not give; a client that needs them ends the IKE SA again")
        }
        var payloads: [Payload] = peer.local.payload.map { [.identificationResponder($0)] } ?? []
        payloads += proof.certificates.map { .certificate($0) }
        payloads.append(.authentication(proof.authentication))
        if form == .authenticationRequest { payloads += respondWithChild(in: session, &step) }
        session.sender.answer(to: request.header, payloads, path: path, &step)
    }

    private mutating func refuse(_ refusal: Refusal, in session: Session, _ step: inout Step) {
        phase = .answered
        Self.refuse(refusal, request, state, path, in: session, &step)
    }

    private static func refuse(
        _ refusal: Refusal, _ request: Message, _ state: Authenticating, _ path: Path, in session: Session,
        _ step: inout Step
    ) {
        session.sender.answer(to: request.header, [.notify(refusal.notify)], path: path, &step)
        step.report(.failed(refusal.explanation))
        // The answer may be lost, so the session stays to repeat it until the half-open time is over.
        session.lifecycle.refused(state.protection, .negotiationFailed(refusal.explanation))
    }

    /// SA TSi TSr, or the notify that says why not: then the IKE SA is up alone (section 1.2).
    private func respondWithChild(in session: Session, _ step: inout Step) -> [Payload] {
        let children = session.connection?.negotiated ?? []
        do throws(Refusal) {
            let agreement = try ChildAgreement(
                request, among: children, withKeyExchange: false, in: session, &step)
            do throws(Refusal) {
                let sa = try agreement.makeChild(
                    secret: nil, initiatorNonce: state.initiatorNonce,
                    responderNonce: state.responderNonce, initiator: false, in: session, &step)
                session.childTable.install(sa, isAnswer: true, &step)
                return agreement.answer
            } catch {
                step.act(.releaseSPI(agreement.inboundSPI))
                throw error
            }
        } catch {
            step.reportAfterAnswer(.childFailed(name: children.first?.name ?? "", error.explanation))
            return [.notify(error.notify)]
        }
    }
}
