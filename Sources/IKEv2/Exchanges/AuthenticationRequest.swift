import Cryptography
import IKEv2Messages
import IPsec

/// IKE_AUTH as the initiator (RFC 7296 section 1.2), with the first child, or without one (RFC 6023).
///
///     IDi [CERT…] [CERTREQ] [IDr] AUTH [SA TSi TSr] -->
///                                                   <-- IDr [CERT…] AUTH [SA TSi TSr | N(error)]
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
        do {
            var payloads = try proof(state, connection, session, &step)
            if !(isChildless && session.peer.childless), let child = children.first {
                let spi = try session.allocateSPI(&step)
                offered = (child, spi)
                children.removeFirst()
                payloads += session.childOffer(
                    child.only(pair), inboundSPI: spi, withKeyExchange: false, hint: hint)
            }
            return payloads
        } catch let failure as AuthenticationFailure {
            session.fail(failure.explanation, &step)
        } catch let refusal as ChildRefusal {
            session.fail(refusal.explanation, &step)
        } catch {
            session.fail(Explanation("\(error)"), &step)
        }
        return nil
    }

    /// IDi [CERT…] [CERTREQ] [IDr] AUTH, and INITIAL_CONTACT where it is true.
    private mutating func proof(
        _ state: Authenticating, _ connection: Connection, _ session: Session, _ step: inout Step
    ) throws -> [Payload] {
        let context = session.authenticationContext(connection, step)
        identity = PeerAuthentication.localIdentity(context, requests: state.certificateRequests)
        guard let own = identity.payload else {
            throw ChildRefusal(
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
}

// MARK: - The response

extension AuthenticationExchange {
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
    ) throws(AuthenticationFailure) -> VerifiedPeer {
        guard let peer = response.identificationResponder, let authentication = response.authentication else {
            throw AuthenticationFailure("the peer proves nothing", remedy: "change the peer")
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
        do throws(ChildRefusal) {
            if form == .childlessAuthenticationResponse {
                throw ChildRefusal(
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

/// Deletes a child that the peer believes in, and we do not.
struct DiscardChildExchange: InitiatedExchange {
    let type = ExchangeType.informational
    let name = "CHILD_DELETE"
    /// The one that we offered.
    let inboundSPI: UInt32

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        [.delete(.childSAs(.esp, [inboundSPI]))]
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        step.act(.releaseSPI(inboundSPI))
    }

    mutating func abandoned(in session: Session, _ step: inout Step) { step.act(.releaseSPI(inboundSPI)) }
}
