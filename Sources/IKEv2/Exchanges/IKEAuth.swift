import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// IKE_AUTH (RFC 7296 section 1.2) with the first child, or without one (RFC 6023): the initiator's state.
///
///     IDi [CERT…] [CERTREQ] [IDr] AUTH [SA TSi TSr] -->
///                                                   <-- IDr [CERT…] AUTH [SA TSi TSr | N(error)]
///                                                     | N(AUTHENTICATION_FAILED)
///
/// | | | RFC 7296 |
/// |-|-|-|
/// | Request | who we are, the proof over our IKE_SA_INIT, and one child | 1.2, 2.15 |
/// | Response | the peer's proof; its child, or the error that leaves the IKE SA up alone | 1.2 |
/// | The peer's proof is wrong | the peer counts the IKE SA as up, and is told once by INFORMATIONAL | 2.21.2 |
/// | Our proof is refused | the negotiation ends; the responder keeps its answer until the half-open time is over | 2.21.2 |
/// | Child of the answer not as offered | the IKE SA stays, and the peer is told to delete the child | 1.2 |
/// | No response | the same bytes again until the peer counts as dead | 2.1, 2.4 |
struct AuthenticationExchange: InitiatedExchange {
    let type = ExchangeType.authentication
    let name = "IKE_AUTH"
    /// The children that are still to be negotiated; the first goes along.
    private var children: [Child]
    private let hint: TrafficSelector?
    /// The only pair of the first child's selectors that is asked for; nil: all.
    private let pair: SelectorPair?
    /// The child that goes along, and our SPI for it.
    private var offered: (child: Child, spi: SPI)?
    private var identity = Identity.any
    private var stage = Stage.proving

    private enum Stage {
        /// Our proof is made, then the request goes out.
        case proving
        /// The response has come, and the peer's proof in it is verified.
        case verifying(Message, MessageForm.Name)
    }

    init(children: [Child], hint: TrafficSelector?, pair: SelectorPair? = nil) {
        self.children = children
        self.hint = hint
        self.pair = pair
    }

    // MARK: - The request

    mutating func begin(in session: Session, _ step: inout Step) -> ExchangeStep {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return .over }
        if isChildless(connection) && !session.peer.childless && (children.isEmpty || connection.childless == .force) {
            step.fail(Self.noChildless(connection))
            return .over
        }
        let context = AuthenticationContext(connection, session, step)
        identity = PeerAuthentication.localIdentity(context, requests: state.certificateRequests)
        guard let own = identity.payload else {
            step.fail(
                Explanation("we have no identity", remedy: "set connections.\(connection.name).local.id"))
            return .over
        }
        return .ask(
            .proof(
                ProofQuestion(
                    octets: state.octets(of: own, sender: .initiator), peer: connection.remote.identity,
                    requests: state.certificateRequests, context: context)))
    }

    mutating func answered(_ answer: Answer, in session: Session, _ step: inout Step) -> ExchangeStep {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return .over }
        switch (stage, answer) {
        case (.proving, .proof(.success(let proof))):
            do throws(Refusal) {
                return .send(try payloads(proof, connection, session, &step))
            } catch {
                step.fail(error.explanation)
            }
        case (.proving, .proof(.failure(let refusal))): step.fail(refusal.explanation)
        case (.verifying(let response, let form), .peer(.success(let verified))):
            isVerified(verified, response, form, state, session, &step)
        case (.verifying, .peer(.failure(let refusal))): isNotVerified(refusal, session, &step)
        default: break
        }
        return .over
    }

    /// IDi [CERT…] [CERTREQ] [IDr] AUTH, and INITIAL_CONTACT where it is true; SA TSi TSr of the first child.
    private mutating func payloads(
        _ proof: AuthenticationProof, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(Refusal) -> [Payload] {
        var payloads: [Payload] = identity.payload.map { [.identificationInitiator($0)] } ?? []
        payloads += proof.certificates.map { .certificate($0) }
        if connection.unique != .never,
            step.environment.isFirstContact(local: identity, remote: connection.remote.identity)
        {
            payloads.append(.notify(NotifyPayload(.initialContact)))
        }
        payloads += PeerAuthentication.requests(for: [connection], step.credentials).map { .certificateRequest($0) }
        if !connection.remote.identity.isPattern, let peer = connection.remote.identity.payload {
            payloads.append(.identificationResponder(peer))
        }
        payloads.append(.authentication(proof.authentication))
        guard !(isChildless(connection) && session.peer.childless), let child = children.first else { return payloads }
        let spi = try step.allocateSPI()
        offered = (child, spi)
        children.removeFirst()
        return payloads
            + ChildAgreement.offer(
                child.only(pair), inboundSPI: spi, withKeyExchange: false, hint: hint,
                context: session.selectorContext(step.environment))
    }

    private func isChildless(_ connection: Connection) -> Bool {
        [.prefer, .force].contains(connection.childless) || children.isEmpty
    }

    private static func noChildless(_ connection: Connection) -> Explanation {
        Explanation(
            "the peer makes no IKE SA without a child (RFC 6023)",
            remedy: connection.negotiated.isEmpty
                ? "add a child to connections.\(connection.name).children"
                : "set connections.\(connection.name).childless = allow")
    }

    // MARK: - The response

    mutating func take(
        _ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step
    ) -> ExchangeStep {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return .over }
        switch form {
        case .authenticationResponse, .childRefusal, .childlessAuthenticationResponse:
            guard let peer = response.identificationResponder, let authentication = response.authentication else {
                isNotVerified(
                    Refusal(authentication: "the peer proves nothing", remedy: "change the peer"), session, &step)
                return .over
            }
            stage = .verifying(response, form)
            return .ask(
                .peer(
                    PeerQuestion(
                        authentication: authentication, octets: state.octets(of: peer, sender: .responder),
                        local: identity, certificates: response.certificates,
                        context: AuthenticationContext(connection, session, step))))
        case .eapResponse, .eapFinalResponse:
            releaseSPI(&step)
            step.fail(
                Explanation(
                    "authentication failed: the peer wants EAP, which is not supported",
                    remedy: "let the peer use a shared key or certificates"))
        default:
            releaseSPI(&step)
            let explanation = refusal(response, connection)
            step.fail(response.errorNotify.map { explanation.because($0.type) } ?? explanation)
        }
        return .over
    }

    /// The peer is who it should be: the IKE SA is up.
    private mutating func isVerified(
        _ verified: VerifiedPeer, _ response: Message, _ form: MessageForm.Name, _ state: Authenticating,
        _ session: Session, _ step: inout Step
    ) {
        session.isAuthenticated(local: identity, remote: verified.identity, state, &step)
        takeLifetime(response, session, step)
        step.report(.established(initialContact: response.has(.initialContact)))
        finishChild(response, form, state, session, &step)
        for (index, child) in children.enumerated() {
            let isFirst = offered == nil && index == 0
            session.enqueueChild(child, hint: isFirst ? hint : nil, pair: isFirst ? pair : nil)
        }
    }

    /// The peer counts this IKE SA as up, and is told (section 2.21.2).
    private func isNotVerified(_ refusal: Refusal, _ session: Session, _ step: inout Step) {
        releaseSPI(&step)
        session.sender.once(.informational, [.notify(NotifyPayload(.authenticationFailed))], &step)
        step.fail(refusal.explanation.because(.authenticationFailed))
    }

    /// The child that went along: up, or refused, which leaves the IKE SA as it is (section 1.2).
    private func finishChild(
        _ response: Message, _ form: MessageForm.Name, _ state: Authenticating, _ session: Session,
        _ step: inout Step
    ) {
        guard let offered else { return }
        do throws(Refusal) {
            if form == .childlessAuthenticationResponse {
                throw Refusal(
                    .noAdditionalSAs, Explanation("the peer left child \(offered.child.name) out of its answer"))
            }
            var agreement = try ChildAgreement(
                response, offered: offered.child.only(pair), inboundSPI: offered.spi, withKeyExchange: false,
                in: session, step)
            agreement.child = offered.child
            let sa = try agreement.makeChild(
                secret: nil, initiatorNonce: state.initiatorNonce, responderNonce: state.responderNonce,
                initiator: true, in: session, &step)
            session.childTable.install(sa, isAnswer: false, &step)
        } catch {
            step.report(.childFailed(name: offered.child.name, error.explanation))
            if form == .authenticationResponse {
                // The peer believes in it.
                session.exchanges.add(DiscardChildExchange(inboundSPI: offered.spi), first: true)
            } else {
                releaseSPI(&step)
            }
        }
    }

    /// AUTH_LIFETIME (RFC 4478): the responder wants to be asked again by then.
    private func takeLifetime(_ response: Message, _ session: Session, _ step: Step) {
        guard let seconds = response.notify(.authenticationLifetime)?.authenticationLifetimeInSeconds, seconds > 0
        else { return }
        session.lifecycle.reauthenticates(
            by: step.now + .seconds(UInt64(seconds) - UInt64(seconds) / 10))
    }

    private func refusal(_ response: Message, _ connection: Connection) -> Explanation {
        guard let error = response.errorNotify else {
            return Explanation("the peer's answer to IKE_AUTH makes no sense")
        }
        guard error.type == .authenticationFailed else {
            return Explanation("the peer refuses IKE_AUTH: \(error.type)")
        }
        return Explanation(
            "authentication failed: the peer does not accept who we are",
            details: [
                "identity sent: \(identity)",
                "identity wanted of the peer: \(connection.remote.identity)",
            ],
            remedy: "the peer's log says why; see that its remote.id is \(identity), and that the keys are the same")
    }

    mutating func abandoned(in session: Session, _ step: inout Step) { releaseSPI(&step) }

    private func releaseSPI(_ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.spi)) }
    }
}

// MARK: - Both

extension Authenticating {
    /// The bytes that the AUTH payload of a side covers.
    func octets(of identity: IdentificationPayload, sender: IKERole) -> SignedOctets {
        SignedOctets(
            message: sender == .initiator ? initialRequest : initialResponse,
            peerNonce: sender == .initiator ? responderNonce : initiatorNonce, identity: identity,
            key: protection.keys.authenticationKey(sender), function: protection.selected.function)
    }
}

extension AuthenticationContext {
    init(_ connection: Connection, _ session: Session, _ step: Step) {
        self.init(
            connection: connection, credentials: step.credentials, path: session.path,
            peerHashes: session.peer.signatureHashes, wallClock: step.environment.wallClock)
    }
}
