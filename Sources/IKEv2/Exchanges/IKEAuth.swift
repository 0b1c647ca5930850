import Cryptography
import IKEv2Messages
import IPsec

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
    /// Those that are still to be negotiated; the first goes along.
    var children: [Child]
    let hint: TrafficSelector?
    /// The only pair of the first child's selectors that is asked for; nil: all.
    let pair: SelectorPair?
    /// What goes along, and our SPI for it.
    private var offered: (child: Child, spi: UInt32)?
    private var identity = Identity.any

    init(children: [Child], hint: TrafficSelector?, pair: SelectorPair? = nil) {
        self.children = children
        self.hint = hint
        self.pair = pair
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        guard case .authenticating(let state) = session.phase, let connection = session.connection else { return nil }
        let isChildless = [.prefer, .force].contains(connection.childless) || children.isEmpty
        if isChildless && !session.peer.childless && (children.isEmpty || connection.childless == .force) {
            session.fail(Self.noChildless(connection), &step)
            return nil
        }
        do throws(Refusal) {
            var payloads = try proof(state, connection, session, &step)
            if !(isChildless && session.peer.childless), let child = children.first {
                let spi = try session.allocateSPI(&step)
                offered = (child, spi)
                children.removeFirst()
                payloads += session.childOffer(
                    child.only(pair), inboundSPI: spi, withKeyExchange: false, hint: hint)
            }
            return payloads
        } catch {
            session.fail(error.explanation, &step)
        }
        return nil
    }

    /// IDi [CERT…] [CERTREQ] [IDr] AUTH, and INITIAL_CONTACT where it is true.
    private mutating func proof(
        _ state: Authenticating, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws(Refusal) -> [Payload] {
        let context = session.authenticationContext(connection, step)
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
                session.establish(local: identity, remote: verified.identity, state, &step)
                session.takeLifetime(response, &step)
                step.report(.established(initialContact: response.has(.initialContact)))
                finishChild(response, form, state, session, &step)
                for (index, child) in children.enumerated() {
                    let isFirst = offered == nil && index == 0
                    session.enqueueChild(child, hint: isFirst ? hint : nil, pair: isFirst ? pair : nil)
                }
            } catch {
                releaseSPI(&step)
                // The peer counts this IKE SA as up, and is told (section 2.21.2).
                session.sendOnce(.informational, [.notify(NotifyPayload(.authenticationFailed))], &step)
                session.fail(error.explanation.because(.authenticationFailed), &step)
            }
        case .eapResponse, .eapFinalResponse:
            releaseSPI(&step)
            session.fail(
                Explanation(
                    "authentication failed: the peer wants EAP, which is not supported",
                    remedy: "let the peer use a shared key or certificates"), &step)
        default:
            releaseSPI(&step)
            let explanation = refusal(response, connection)
            session.fail(response.errorNotify.map { explanation.because($0.type) } ?? explanation, &step)
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
            certificates: response.certificates, session.authenticationContext(connection, step))
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
            var agreement = try session.agreement(
                on: response, offered: offered.child.only(pair), inboundSPI: offered.spi, withKeyExchange: false)
            agreement.child = offered.child
            let sa = try session.makeChild(
                agreement, secret: nil, initiatorNonce: state.initiatorNonce, responderNonce: state.responderNonce,
                initiator: true, &step)
            session.install(sa, isAnswer: false, &step)
        } catch {
            step.report(.childFailed(name: offered.child.name, error.explanation))
            if form == .authenticationResponse {
                // The peer believes in it.
                session.enqueue(DiscardChildExchange(inboundSPI: offered.spi), first: true)
            } else {
                releaseSPI(&step)
            }
        }
    }

    private func refusal(_ response: Message, _ connection: Connection) -> Explanation {
        guard let error = response.errorNotify else { return Explanation("the peer's answer to IKE_AUTH has no sense") }
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

extension Session {
    func respondToAuthentication(
        _ request: Message, form: MessageForm.Name, _ state: Authenticating, path: Path, _ step: inout Step
    ) {
        // The initiator may have gone to port 4500.
        self.path = path
        do throws(Refusal) {
            let peer = try identify(request, form, state, step)
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
            let proof = try prove(peer, request, state, step)
            connection = peer.connection
            establish(local: peer.local, remote: peer.verified.identity, state, &step)
            step.reportAfterAnswer(.established(initialContact: request.has(.initialContact)))
            if request.configuration?.type == .request {
                step.note(
                    .warning,
                    "\(peer.verified.identity) asks for an address and other settings (CFG_REQUEST), which a "
                        + "site-to-site gateway does not give; a client that needs them ends the IKE SA again")
            }
            let child = form == .authenticationRequest ? respondWithChild(request, state, &step) : []
            sendAnswer(to: request.header, proof + child, path: path, &step)
        } catch {
            sendAnswer(to: request.header, [.notify(error.notify)], path: path, &step)
            step.report(.failed(error.explanation))
            // The answer may be lost, so the session stays to repeat it until the half-open time is over.
            phase = .refused(state.protection, .negotiationFailed(error.explanation))
        }
    }

    /// A peer that has proved who it is, and the connection that is for it.
    private struct Identified {
        var connection: Connection
        var verified: VerifiedPeer
        /// Who we are to it.
        var local: Identity
    }

    /// Finds the connection by the identities, and of several the first by which the proof holds.
    private func identify(
        _ request: Message, _ form: MessageForm.Name, _ state: Authenticating, _ step: Step
    ) throws(Refusal) -> Identified {
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
            let context = authenticationContext(connection, step)
            let local = localIdentity(context, request)
            do {
                let verified = try PeerAuthentication.verify(
                    authentication, of: state.octets(of: initiator, sender: .initiator), to: local,
                    certificates: request.certificates, context)
                // Only who has proved itself learns what the connection wants.
                guard let problem = childlessProblem(connection, form) else {
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

    /// Who we are: as configured, else whom the peer wants, else what our certificate says.
    private func localIdentity(_ context: AuthenticationContext, _ request: Message) -> Identity {
        let configured = context.connection.local.identity ?? .any
        if configured == .any, let wanted = request.identificationResponder.flatMap(Identity.init) {
            if case .preSharedKey = context.connection.local.method { return wanted }
        }
        return PeerAuthentication.localIdentity(context, requests: request.certificateRequests)
    }

    /// RFC 6023 section 4: who does not do it answers as one who does not know it. nil: the request has the right form.
    private func childlessProblem(_ connection: Connection, _ form: MessageForm.Name) -> Refusal? {
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
    private func prove(
        _ peer: Identified, _ request: Message, _ state: Authenticating, _ step: Step
    ) throws(Refusal) -> [Payload] {
        guard let own = peer.local.payload else {
            throw Refusal(
                .authenticationFailed,
                Explanation("we have no identity", remedy: "set connections.\(peer.connection.name).local.id"))
        }
        var context = authenticationContext(peer.connection, step)
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
    private func respondWithChild(_ request: Message, _ state: Authenticating, _ step: inout Step) -> [Payload] {
        do throws(Refusal) {
            let agreement = try agreement(
                on: request, among: connection?.negotiated ?? [], withKeyExchange: false, &step)
            do throws(Refusal) {
                let sa = try makeChild(
                    agreement, secret: nil, initiatorNonce: state.initiatorNonce,
                    responderNonce: state.responderNonce, initiator: false, &step)
                install(sa, isAnswer: true, &step)
                return childAnswer(agreement)
            } catch {
                step.act(.releaseSPI(agreement.inboundSPI))
                throw error
            }
        } catch {
            step.reportAfterAnswer(.childFailed(name: connection?.negotiated.first?.name ?? "", error.explanation))
            return [.notify(error.notify)]
        }
    }
}

// MARK: - Both

extension Authenticating {
    /// What the AUTH payload of a side covers.
    func octets(of identity: IdentificationPayload, sender: IKERole) -> SignedOctets {
        SignedOctets(
            message: sender == .initiator ? initialRequest : initialResponse,
            peerNonce: sender == .initiator ? responderNonce : initiatorNonce, identity: identity,
            key: protection.keys.authenticationKey(sender), function: protection.selected.function)
    }
}

extension Session {
    func authenticationContext(_ connection: Connection, _ step: Step) -> AuthenticationContext {
        AuthenticationContext(
            connection: connection, credentials: step.credentials, path: path, peerHashes: peer.signatureHashes,
            wallClock: step.environment.wallClock)
    }

    /// The IKE SA is up; its times begin.
    func establish(local: Identity, remote: Identity, _ state: Authenticating, _ step: inout Step) {
        phase = .established(
            Established(
                state.protection, local: local, remote: remote, connection: connection, step))
        halfOpenUntil = nil
        lastHeardAt = step.now
        noteShortNonce(
            role == .initiator ? state.responderNonce : state.initiatorNonce, state.protection.selected, &step)
    }

    /// A nonce of less than half the key of the PRF is against RFC 7296 section 2.10, and no reason to be without a tunnel.
    func noteShortNonce(_ nonce: [UInt8], _ selected: SelectedIKE, _ step: inout Step) {
        let least = selected.function.outputLength / 2
        if nonce.count >= least { return }
        step.note(
            .warning,
            "the peer's nonce has \(nonce.count) bytes, and \(selected.function.name) wants \(least): update the peer, "
                + "or choose a PRF with a shorter key")
    }

    /// AUTH_LIFETIME (RFC 4478): the responder wants to be asked again by then.
    func takeLifetime(_ response: Message, _ step: inout Step) {
        guard case .established(var state) = phase,
            let seconds = response.notify(.authenticationLifetime)?.authenticationLifetimeInSeconds, seconds > 0
        else { return }
        let at = step.now.addingWithoutOverflow(.seconds(UInt64(seconds) - UInt64(seconds) / 10))
        state.reauthenticateAt = min(state.reauthenticateAt ?? .max, at)
        phase = .established(state)
    }
}
