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

    init(children: [Child], hint: TrafficSelector?, pair: SelectorPair? = nil) {
        self.children = children
        self.hint = hint
        self.pair = pair
    }

    // MARK: - Initiator

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return nil }
        let isChildless = [.prefer, .force].contains(connection.childless) || children.isEmpty
        if isChildless && !session.peer.childless && (children.isEmpty || connection.childless == .force) {
            step.fail(Self.noChildless(connection))
            return nil
        }
        do throws(Refusal) {
            var payloads = try proof(state, connection, session, &step)
            if !(isChildless && session.peer.childless), let child = children.first {
                let spi = try step.allocateSPI()
                offered = (child, spi)
                children.removeFirst()
                payloads += ChildAgreement.offer(
                    child.only(pair), inboundSPI: spi, withKeyExchange: false, hint: hint,
                    context: session.selectorContext(step.environment))
            }
            return payloads
        } catch {
            step.fail(error.explanation)
        }
        return nil
    }

    /// IDi [CERT…] [CERTREQ] [IDr] AUTH, and INITIAL_CONTACT where it is true.
    private mutating func proof(
        _ state: Authenticating, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(Refusal) -> [Payload] {
        let context = AuthenticationContext(connection, session, step)
        identity = PeerAuthentication.localIdentity(context, requests: state.certificateRequests)
        guard let own = identity.payload else {
            throw Refusal(
                .authenticationFailed,
                Explanation("we have no identity", remedy: "set connections.\(connection.name).local.id"))
        }
        let (authentication, certificates) = try PeerAuthentication.prove(
            state.octets(of: own, sender: .initiator), to: connection.remote.identity,
            requests: state.certificateRequests, context)
        var payloads: [Payload] = [.identificationInitiator(own)]
        payloads += certificates.map { .certificate($0) }
        if connection.unique != .never,
            step.environment.isFirstContact(local: identity, remote: connection.remote.identity)
        {
            payloads.append(.notify(NotifyPayload(.initialContact)))
        }
        payloads += PeerAuthentication.requests(for: [connection], step.credentials).map { .certificateRequest($0) }
        if !connection.remote.identity.isPattern, let peer = connection.remote.identity.payload {
            payloads.append(.identificationResponder(peer))
        }
        payloads.append(.authentication(authentication))
        return payloads
    }

    private static func noChildless(_ connection: Connection) -> Explanation {
        Explanation(
            "the peer makes no IKE SA without a child (RFC 6023)",
            remedy: connection.negotiated.isEmpty
                ? "add a child to connections.\(connection.name).children"
                : "set connections.\(connection.name).childless = allow")
    }
    mutating func response(
        _ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step
    ) {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return }
        switch form {
        case .authenticationResponse, .childRefusal, .childlessAuthenticationResponse:
            do {
                let verified = try verify(response, state, connection, session, step)
                session.isAuthenticated(local: identity, remote: verified.identity, state, &step)
                takeLifetime(response, session, step)
                step.report(.established(initialContact: response.has(.initialContact)))
                finishChild(response, form, state, session, &step)
                for (index, child) in children.enumerated() {
                    let isFirst = offered == nil && index == 0
                    session.enqueueChild(child, hint: isFirst ? hint : nil, pair: isFirst ? pair : nil)
                }
            } catch {
                releaseSPI(&step)
                // The peer counts this IKE SA as up, and is told (section 2.21.2).
                session.sender.once(.informational, [.notify(NotifyPayload(.authenticationFailed))], &step)
                step.fail(error.explanation.because(.authenticationFailed))
            }
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
    }

    private func verify(
        _ response: Message, _ state: Authenticating, _ connection: Connection, _ session: Session, _ step: Step
    ) throws(Refusal) -> VerifiedPeer {
        guard let peer = response.identificationResponder, let authentication = response.authentication else {
            throw Refusal(authentication: "the peer proves nothing", remedy: "change the peer")
        }
        return try PeerAuthentication.verify(
            authentication, of: state.octets(of: peer, sender: .responder), to: identity,
            certificates: response.certificates, AuthenticationContext(connection, session, step))
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

// MARK: - Responder

/// A request of IKE_AUTH: the responder's side.
struct AuthenticationRequest {
    let session: Session
    let request: Message
    let form: MessageForm.Name
    let state: Authenticating
    let path: Path

    func respond(_ step: inout Step) {
        // The initiator may have gone to port 4500.
        session.path = path
        do throws(Refusal) {
            let peer = try identify(step)
            // A peer that has lost the earlier one says so: then it is replaced.
            if !request.has(.initialContact),
                step.environment.refusesDuplicate(peer.connection, local: peer.local, remote: peer.verified.identity)
            {
                throw Refusal(
                    .authenticationFailed,
                    Explanation(
                        "\(peer.verified.identity) is connected already",
                        remedy: "set connections.\(peer.connection.name).unique = replace"))
            }
            let proof = try prove(peer, step)
            session.connection = peer.connection
            session.isAuthenticated(local: peer.local, remote: peer.verified.identity, state, &step)
            step.reportAfterAnswer(.established(initialContact: request.has(.initialContact)))
            if request.configuration?.type == .request {
                step.note(
                    .warning,
                    "\(peer.verified.identity) asks for an address and other settings (CFG_REQUEST), which a "
                        + "site-to-site gateway does not give; a client that needs them ends the IKE SA again")
            }
            let child = form == .authenticationRequest ? respondWithChild(&step) : []
            session.sender.answer(to: request.header, proof + child, path: path, &step)
        } catch {
            session.sender.answer(to: request.header, [.notify(error.notify)], path: path, &step)
            step.report(.failed(error.explanation))
            // The answer may be lost, so the session stays to repeat it until the half-open time is over.
            session.lifecycle.refused(state.protection, .negotiationFailed(error.explanation))
        }
    }

    /// A peer that has proved who it is, and the connection that is for it.
    private struct Identified {
        var connection: Connection
        var verified: VerifiedPeer
        /// Our identity to the peer.
        var local: Identity
    }

    /// Finds the connection by the identities, and of several the first by which the proof holds.
    private func identify(_ step: Step) throws(Refusal) -> Identified {
        guard let initiator = request.identificationInitiator, form != .eapRequest, form != .eapFinalRequest else {
            throw Refusal(.invalidSyntax, Explanation("IKE_AUTH without an identity"))
        }
        guard let authentication = request.authentication else {
            throw Refusal(
                .authenticationFailed,
                Explanation(
                    "authentication failed: the peer wants EAP, which is not supported",
                    remedy: "let the peer use a shared key or certificates"))
        }
        let wanted = request.identificationResponder
        let identity = Identity(initiator)
        let fitting = identity.map {
            PeerAuthentication.connections(state.candidates, for: $0, wanted: wanted.flatMap(Identity.init))
        }
        var failure: Explanation?
        var refusal: Refusal?
        // A connection names this identity alone, and the peer could not prove that it is the one.
        var isDisproved = false
        for connection in fitting ?? [] {
            let isExact = identity?.matches(connection.remote.identity) == Identity.exactMatch
            if isDisproved && !isExact { break }
            let context = AuthenticationContext(connection, session, step)
            let local = localIdentity(context)
            do {
                let verified = try PeerAuthentication.verify(
                    authentication, of: state.octets(of: initiator, sender: .initiator), to: local,
                    certificates: request.certificates, context)
                // Only who has proved itself learns what the connection wants.
                guard let problem = childlessProblem(connection) else {
                    return Identified(connection: connection, verified: verified, local: local)
                }
                refusal = refusal ?? problem
            } catch {
                failure = failure ?? error.explanation
                isDisproved = isDisproved || isExact
            }
        }
        throw refusal
            ?? Refusal(
                .authenticationFailed,
                failure
                    ?? PeerAuthentication.explainNoConnection(state.candidates, for: initiator, wanted: wanted))
    }

    /// Our identity: as configured, else whom the peer wants, else what our certificate says.
    private func localIdentity(_ context: AuthenticationContext) -> Identity {
        let configured = context.connection.local.identity ?? .any
        if configured == .any, let wanted = request.identificationResponder.flatMap(Identity.init) {
            if case .preSharedKey = context.connection.local.method { return wanted }
        }
        return PeerAuthentication.localIdentity(context, requests: request.certificateRequests)
    }

    /// RFC 6023 section 4: who does not do it answers as one who does not know it. nil: the request has the right form.
    private func childlessProblem(_ connection: Connection) -> Refusal? {
        let isChildless = form == .childlessAuthenticationRequest
        let line = "connections.\(connection.name).childless"
        if isChildless && connection.childless == .never {
            return Refusal(
                .invalidSyntax, Explanation("the peer wants an IKE SA without a child", remedy: "set \(line) = allow"))
        }
        if !isChildless && connection.childless == .force {
            return Refusal(
                .invalidSyntax, Explanation("the peer wants a child in IKE_AUTH", remedy: "set \(line) = allow"))
        }
        return nil
    }

    /// IDr [CERT…] AUTH.
    private func prove(_ peer: Identified, _ step: Step) throws(Refusal) -> [Payload] {
        guard let own = peer.local.payload else {
            throw Refusal(
                .authenticationFailed,
                Explanation("we have no identity", remedy: "set connections.\(peer.connection.name).local.id"))
        }
        var context = AuthenticationContext(peer.connection, session, step)
        context.verifiedPeer = peer.verified
        do throws(Refusal) {
            let (authentication, certificates) = try PeerAuthentication.prove(
                state.octets(of: own, sender: .responder), to: peer.verified.identity,
                requests: request.certificateRequests, context)
            return [.identificationResponder(own)] + certificates.map { .certificate($0) }
                + [.authentication(authentication)]
        } catch {
            throw Refusal(.authenticationFailed, error.explanation)
        }
    }

    /// SA TSi TSr, or the notify that says why not: then the IKE SA is up alone (section 1.2).
    private func respondWithChild(_ step: inout Step) -> [Payload] {
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
    fileprivate init(_ connection: Connection, _ session: Session, _ step: Step) {
        self.init(
            connection: connection, credentials: step.credentials, path: session.path,
            peerHashes: session.peer.signatureHashes, wallClock: step.environment.wallClock)
    }
}
