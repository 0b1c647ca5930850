import Cryptography
import IKEv2Messages
import IPsec

/// IKE_SA_INIT (RFC 7296 section 1.2): the initiator's state between request and response.
///
///     SAi1 KEi Ni [N(COOKIE)] -->
///                             <-- SAr1 KEr Nr [CERTREQ] | N(error)
///
/// | | | RFC 7296 |
/// |-|-|-|
/// | Request | the same proposals and nonce until it is answered; nothing in it is protected | 2.7 |
/// | Response | both sides have keys; the initiator goes on with IKE_AUTH, on port 4500 behind a NAT | 2.14, 2.23 |
/// | N(COOKIE), N(INVALID_KE_PAYLOAD) | at once again, with the cookie or the other group, under message id 0 and with the nonce that the cookie covers; five times at most | 2.6, 1.2 |
/// | Other errors | believed when a repetition gets one too, as anybody could have forged one | 2.21.1 |
/// | No response | the same bytes again, ever more rarely, until the peer counts as dead | 2.1, 2.4 |
/// | Repeated request | the same answer, byte for byte | 2.1 |
/// | Collision | none: two IKE SAs come up, and `unique` says which one stays | |
struct InitialExchange {
    let children: [Child]
    /// The packet that calls for the first child.
    let hint: TrafficSelector?
    /// The only pair of the first child's selectors that is asked for; nil: all.
    let pair: SelectorPair?
    let nonce: [UInt8]
    var keyExchange: KeyExchange
    var cookie: NotifyPayload?
    /// The last one, as it was on the wire.
    var request: [UInt8] = []
    var restarts = 0
    /// What an answer said that anybody could have sent (section 2.21.1).
    var refusal: Explanation?

    /// Cookies and groups that are given in to; a peer that asks for more asks for ever.
    static let maximumRestarts = 5
    static let nonceLength = 32

    /// All repetitions went unanswered, or were refused.
    func unanswered(in session: Session, _ step: inout Step) {
        if let refusal {
            session.fail(refusal, &step)
            return
        }
        step.report(
            .failed(
                Explanation(
                    "the peer does not answer",
                    details: ["IKE_SA_INIT from \(session.path.local) to \(session.path.remote)"],
                    remedy: "see that the peer runs, and that UDP ports 500 and 4500 are open on the way",
                    cause: .unanswered)))
        step.close(.peerDead)
    }
}

// MARK: - Initiator

extension Session {
    /// Begins to negotiate. The first of `children` goes with IKE_AUTH, the others follow; `hint` is the packet that
    /// calls for the first, `pair` the only one of its selectors that is asked for.
    public static func initiate(
        _ connection: Connection, children: [Child], hint: TrafficSelector? = nil, pair: SelectorPair? = nil,
        path: Path,
        environment: any SessionEnvironment
    ) -> (Session, [SessionAction]) {
        let session = Session(
            id: environment.uniqueID(), role: .initiator, initiatorSPI: randomSPI(environment), responderSPI: 0,
            connection: connection, path: path, phase: .starting, now: environment.now)
        let actions = session.step(environment) { step in
            guard let method = connection.proposals.first?.keyExchanges.first else {
                session.fail(Explanation("connection \(connection.name) has no proposal with a key exchange"), &step)
                return
            }
            do {
                let exchange = InitialExchange(
                    children: children, hint: hint, pair: pair,
                    nonce: environment.random(count: InitialExchange.nonceLength),
                    keyExchange: try KeyExchange(method))
                session.sendInitialRequest(exchange, &step)
            } catch {
                session.fail(Explanation("no key exchange value: \(error)"), &step)
            }
        }
        return (session, actions)
    }

    static func randomSPI(_ environment: any SessionEnvironment) -> UInt64 {
        max(1, environment.random(count: 8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    func sendInitialRequest(_ begun: InitialExchange, _ step: inout Step) {
        guard let connection else { return }
        var exchange = begun
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: 0, exchange: .initial, direction: .request,
            isFromInitiator: true, messageID: 0)
        var payloads: [Payload] = exchange.cookie.map { [.notify($0)] } ?? []
        payloads += [
            .securityAssociation(IKENegotiation.offer(connection.proposals, spi: nil)),
            .keyExchange(exchange.keyExchange.payload),
            .nonce(NoncePayload(exchange.nonce)),
        ]
        payloads += NATDetection.notifies(header, path: path, forced: connection.forcesEncapsulation)
        payloads += Self.capabilities(of: [connection])
        let message = Message(header: header, payloads: payloads)
        do {
            exchange.request = try message.encoded()
        } catch {
            fail(Explanation("IKE_SA_INIT could not be made", details: ["\(error)"]), &step)
            return
        }
        let line = MessageLine(message, way: .sent, peer: "\(path.remote)", bytes: exchange.request.count)
        let sent = MessageWindow.SentMessage(datagrams: [exchange.request], line: line)
        phase = .initial(exchange)
        window.sent(sent, exchange: .initial, at: step.now, settings: step.settings)
        step.act(.send(sent.outgoing(path: path, repetition: 0)))
    }

    /// The notifies of IKE_SA_INIT that say what we can.
    static func capabilities(of connections: [Connection]) -> [Payload] {
        var notifies: [NotifyPayload] = []
        if connections.contains(where: { $0.fragmentation != .no }) {
            notifies.append(NotifyPayload(.fragmentationSupported))
        }
        notifies.append(.offeredSignatureHashes)
        return notifies.map { .notify($0) }
    }

    /// The negotiation of the IKE SA comes to nothing.
    func fail(_ explanation: Explanation, _ step: inout Step) {
        step.report(.failed(explanation))
        step.close(.negotiationFailed(explanation))
    }
    /// An answer to IKE_SA_INIT, which anybody could have made up; else a hint.
    func receivePlainResponse(_ received: ReceivedMessage, path: Path, _ step: inout Step) {
        guard received.header.initiatorSPI == initiatorSPI, !received.header.isFromInitiator,
            window.awaits(received.header), let message = received.plainMessage
        else { return }
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
        guard case .initial(let exchange) = phase, let form = try? MessageRules.check(message).name else {
            receiveUnprotectedRefusal(message, &step)
            return
        }
        switch form {
        case .cookieDemand: demanded(exchange, message, &step)
        case .initialRefusal: refused(exchange, message, &step)
        case .initialResponse: accepted(exchange, received, message, path: path, &step)
        default: break
        }
    }

    private func demanded(_ begun: InitialExchange, _ message: Message, _ step: inout Step) {
        var exchange = begun
        // Section 2.6: 1 to 64 bytes.
        guard let cookie = message.notify(.cookie), 1...64 ~= cookie.data.count, cookie != exchange.cookie else {
            return
        }
        exchange.cookie = cookie
        restart(exchange, &step)
    }

    private func restart(_ begun: InitialExchange, _ step: inout Step) {
        var exchange = begun
        exchange.restarts += 1
        guard exchange.restarts <= InitialExchange.maximumRestarts else { return }
        window.takeBack()
        sendInitialRequest(exchange, &step)
    }

    /// INVALID_KE_PAYLOAD is acted on. Anything else is believed when it is said again to a repetition: one who cannot
    /// see our messages could only forge it once (section 2.21.1).
    private func refused(_ begun: InitialExchange, _ message: Message, _ step: inout Step) {
        guard let error = message.errorNotify, let connection else { return }
        var exchange = begun
        if error.type == .invalidKeyExchange {
            let refused = exchange.keyExchange.method
            let wanted = IKENegotiation.retryMethod(error, offered: connection.proposals, refused: refused)
            if let wanted, let fresh = try? KeyExchange(wanted) {
                exchange.keyExchange = fresh
                restart(exchange, &step)
                return
            }
        }
        let explanation =
            (error.type == .noProposalChosen
            ? IKENegotiation.explainRefusal(of: connection.proposals, connection: connection.name)
            : Explanation("the peer refuses IKE_SA_INIT: \(error.type)")).because(error.type)
        if exchange.refusal != nil, window.outstanding?.repetitions ?? 0 > 0 {
            fail(explanation, &step)
        } else {
            exchange.refusal = explanation
            phase = .initial(exchange)
            step.note(.info, "the peer refuses IKE_SA_INIT with \(error.type); asked once more")
        }
    }

    /// Both sides have what keys are made of.
    private func accepted(
        _ exchange: InitialExchange, _ received: ReceivedMessage, _ message: Message, path: Path, _ step: inout Step
    ) {
        guard let connection, let answer = message.securityAssociation, let value = message.keyExchange,
            let nonce = message.nonce
        else { return }
        guard let selected = IKENegotiation.check(answer, offered: connection.proposals),
            selected.keyExchange == exchange.keyExchange.method, value.method == selected.keyExchange.id
        else {
            let details = [
                "offered: \(connection.proposals.map(\.description).joined(separator: ", "))",
                "chosen: \(answer.shown)",
            ]
            fail(
                Explanation("the peer chose what was not offered", details: details, remedy: "change the peer"), &step)
            return
        }
        do {
            let keys = try IKEKeys(
                selected, secret: try exchange.keyExchange.sharedSecret(with: value.data),
                initiatorNonce: exchange.nonce, responderNonce: nonce.data, initiatorSPI: initiatorSPI,
                responderSPI: message.header.responderSPI)
            responderSPI = message.header.responderSPI
            lastHeardAt = step.now
            learn(from: message, path: path, forced: connection.forcesEncapsulation)
            window.completed()
            step.environment.logKeys(keys.keyLogLine)
            phase = .authenticating(
                Authenticating(
                    protection: Protection(selected, keys: keys, role: role), initialRequest: exchange.request,
                    initialResponse: received.bytes, initiatorNonce: exchange.nonce, responderNonce: nonce.data,
                    candidateSet: CandidateSet([connection]), certificateRequests: message.certificateRequests))
            floatPorts()
            enqueue(AuthenticationExchange(children: exchange.children, hint: exchange.hint, pair: exchange.pair))
        } catch {
            fail(Explanation("the key exchange failed", details: ["\(error)"]), &step)
        }
    }

    /// What an IKE_SA_INIT says of the peer and the path.
    func learn(from message: Message, path: Path, forced: Bool) {
        nat = NATDetection.situation(message, path: path, forced: forced)
        peer.fragmentation = message.has(.fragmentationSupported)
        peer.childless = message.has(.childlessSupported)
        peer.signatureHashes = message.notify(.signatureHashAlgorithms)?.signatureHashes
    }

    /// An error that came unprotected once there are keys: a hint that anybody can give (section 2.21.4). The request
    /// that it claims to answer is repeated anyway, which tells whether the peer still knows us.
    private func receiveUnprotectedRefusal(_ message: Message, _ step: inout Step) {
        guard let error = message.errorNotify else { return }
        if case .established(let state) = phase, state.state == .deleting, error.type == .invalidIKESPI,
            let delete = active as? DeleteIKEExchange
        {
            // The peer has nothing left to delete; to be fooled here costs nothing.
            step.close(delete.reason)
            return
        }
        hint(&step) { step in step.note(.warning, "an answer without protection says \(error.type); not believed") }
    }
}

// MARK: - Responder

extension Session {
    /// An IKE_SA_INIT request that no session has sent before and that the manager lets in (cookies, limits).
    /// `candidates`: the connections for the two addresses, best first; which one it is, IKE_AUTH shows. The session is
    /// nil when the request is refused.
    public static func respond(
        to received: ReceivedMessage, path: Path, candidates: [Connection], environment: any SessionEnvironment
    ) -> (Session?, [SessionAction]) {
        respond(
            to: received, path: path, candidates: CandidateSet(candidates),
            timeoutInSeconds: environment.settings.halfOpenTimeoutInSeconds, environment: environment)
    }

    /// The same with a set that is there already. `timeoutInSeconds`: how long the peer has for IKE_AUTH.
    static func respond(
        to received: ReceivedMessage, path: Path, candidates: CandidateSet, timeoutInSeconds: UInt64,
        environment: any SessionEnvironment
    ) -> (Session?, [SessionAction]) {
        var step = Step(environment)
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
        let session: Session?
        do {
            let request = try InitialRequest(received, candidates: candidates)
            session = try accept(request, path: path, &step)
            session?.halfOpenUntil = step.now.addingWithoutOverflow(.seconds(timeoutInSeconds))
        } catch {
            step.act(
                error.notify.type == .invalidKeyExchange
                    ? .remark { "IKE_SA_INIT begins anew: \(error.explanation)" } : .explain { error.explanation })
            refuse(received.header, error.notify, path: path, &step)
            session = nil
        }
        return (session, step.finish())
    }

    private static func accept(
        _ request: InitialRequest, path: Path, _ step: inout Step
    ) throws(Refusal) -> Session {
        let own = try request.keyExchange()
        let secret = try request.sharedSecret(own)
        let header = request.message.header.response(responderSPI: randomSPI(step.environment))
        let session = Session(
            id: step.environment.uniqueID(), role: .responder, initiatorSPI: header.initiatorSPI,
            responderSPI: header.responderSPI, connection: nil, path: path, phase: .starting, now: step.now)
        let nonce = step.environment.random(count: InitialExchange.nonceLength)
        session.learn(from: request.message, path: path, forced: request.candidates.forcesEncapsulation)

        let response = Message(
            header: header, payloads: request.answer(own, nonce: nonce, header: header, path: path, step.credentials))
        do {
            let bytes = try response.encoded()
            let keys = try IKEKeys(
                request.selected, secret: secret, initiatorNonce: request.nonce, responderNonce: nonce,
                initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI)
            step.environment.logKeys(keys.keyLogLine)
            session.phase = .authenticating(
                Authenticating(
                    protection: Protection(request.selected, keys: keys, role: .responder),
                    initialRequest: request.bytes, initialResponse: bytes, initiatorNonce: request.nonce,
                    responderNonce: nonce, candidateSet: request.candidates, certificateRequests: []))
            let line = MessageLine(response, way: .sent, peer: "\(path.remote)", bytes: bytes.count)
            let sent = MessageWindow.SentMessage(datagrams: [bytes], line: line)
            session.window.answered(with: sent)
            step.act(.send(sent.outgoing(path: path, repetition: 0)))
        } catch {
            let problem = error
            throw Refusal(
                .invalidSyntax, unsaid: Explanation("IKE_SA_INIT cannot be answered", details: ["\(problem)"]))
        }
        return session
    }

    private static func refuse(_ header: IKEHeader, _ notify: NotifyPayload, path: Path, _ step: inout Step) {
        let message = Message(header: header.response(), payloads: [.notify(notify)])
        guard let bytes = try? message.encoded() else { return }
        let line = MessageLine(message, way: .sent, peer: "\(path.remote)", bytes: bytes.count)
        step.act(.send(OutgoingMessage(path: path, datagrams: [bytes], line: line)))
    }

    /// A request outside SK: a repetition of IKE_SA_INIT, byte for byte, gets the same answer; anything else is a hint
    /// at most (section 2.21.4).
    func receivePlainRequest(_ received: ReceivedMessage, path: Path, _ step: inout Step) {
        if case .authenticating(let state) = phase, received.bytes == state.initialRequest,
            case .repeated(let answer) = window.judge(request: 0)
        {
            step.report(.message(MessageLine(received, peer: "\(path.remote)")))
            step.act(.send(answer.outgoing(path: path, repetition: 1)))
            return
        }
        guard isEstablished, received.plainMessage?.errorNotify != nil else { return }
        hint(&step) { _ in enqueueLiveness() }
    }
}
