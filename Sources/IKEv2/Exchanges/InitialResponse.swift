import Cryptography
import IKEv2Messages

// IKE_SA_INIT as the responder (RFC 7296 section 1.2). What is refused leaves nothing behind.

extension Session {
    /// An IKE_SA_INIT request that no session has sent before and that the manager lets in (cookies, limits).
    /// `candidates`: the connections for the two addresses, best first; which one it is, IKE_AUTH shows. The session is
    /// nil when the request is refused.
    public static func respond(
        to received: ReceivedMessage, path: Path, candidates: [Connection], environment: any SessionEnvironment
    ) -> (Session?, [SessionAction]) {
        var step = Step(environment)
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
        let session: Session?
        do {
            let request = try InitialRequest(received, candidates: candidates)
            session = try accept(request, path: path, &step)
        } catch {
            step.report(.failed(error.explanation))
            refuse(received.header, error.notify, path: path, &step)
            session = nil
        }
        return (session, step.finish())
    }

    private static func accept(
        _ request: InitialRequest, path: Path, _ step: inout Step
    ) throws(InitialRefusal) -> Session {
        let own = try request.keyExchange()
        let secret = try request.sharedSecret(own)
        let header = request.message.header.response(responderSPI: randomSPI(step.environment))
        let session = Session(
            id: step.environment.uniqueID(), role: .responder, initiatorSPI: header.initiatorSPI,
            responderSPI: header.responderSPI, connection: nil, path: path, phase: .starting, now: step.now)
        let nonce = step.environment.random(count: InitialExchange.nonceLength)
        session.learn(from: request.message, path: path, forced: request.forcesEncapsulation)

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
                    responderNonce: nonce, candidates: request.candidates, certificateRequests: []))
            session.halfOpenUntil = step.now.addingWithoutOverflow(.seconds(step.settings.halfOpenTimeoutInSeconds))
            let line = MessageLine(response, way: .sent, peer: "\(path.remote)", bytes: bytes.count)
            let sent = MessageWindow.SentMessage(datagrams: [bytes], line: line)
            session.window.answered(with: sent)
            step.act(.send(sent.outgoing(path: path, repetition: 0)))
        } catch {
            throw InitialRefusal(.invalidSyntax, Explanation("IKE_SA_INIT cannot be answered", details: ["\(error)"]))
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

/// Why an IKE_SA_INIT is refused: what the peer is told, and what our operator is.
struct InitialRefusal: Error {
    var notify: NotifyPayload
    var explanation: Explanation

    init(_ notify: NotifyPayload, _ explanation: Explanation) {
        self.notify = notify
        self.explanation = explanation
    }

    init(_ type: NotifyType, _ explanation: Explanation) {
        self.init(NotifyPayload(type), explanation)
    }
}

/// An IKE_SA_INIT request that is complete and has algorithms in common with us.
private struct InitialRequest {
    let bytes: [UInt8]
    let message: Message
    let selected: SelectedIKE
    /// Those that take what was selected.
    let candidates: [Connection]
    let forcesEncapsulation: Bool
    let nonce: [UInt8]
    private let value: KeyExchangePayload

    init(_ received: ReceivedMessage, candidates all: [Connection]) throws(InitialRefusal) {
        guard let message = received.plainMessage else {
            throw InitialRefusal(.invalidSyntax, Explanation("IKE_SA_INIT came encrypted"))
        }
        do { _ = try MessageRules.check(message) } catch {
            throw InitialRefusal(error.answer, Explanation("IKE_SA_INIT is not well formed", details: ["\(error)"]))
        }
        guard let offer = message.securityAssociation, let value = message.keyExchange, let nonce = message.nonce else {
            throw InitialRefusal(.invalidSyntax, Explanation("IKE_SA_INIT is not complete"))
        }
        selected = try Self.select(offer, all)
        let answer = IKENegotiation.answer(selected, spi: nil)
        candidates = all.filter { IKENegotiation.choose(answer, configured: $0.proposals) != nil }
        // It is told now or never, before it is known for whom it is.
        forcesEncapsulation = candidates.contains { $0.forcesEncapsulation }
        if value.method.rawValue != selected.keyExchange.rawValue {
            let wanted = IKEv2Messages.KeyExchangeMethod(rawValue: selected.keyExchange.rawValue)
            throw InitialRefusal(
                .invalidKeyExchange(wanted: wanted),
                Explanation("the peer began with \(value.method); \(selected.keyExchange) was asked for"))
        }
        bytes = received.bytes
        self.message = message
        self.nonce = nonce.data
        self.value = value
    }

    private static func select(
        _ offer: SecurityAssociationPayload, _ candidates: [Connection]
    ) throws(InitialRefusal) -> SelectedIKE {
        for connection in candidates {
            let selected = IKENegotiation.choose(offer, configured: connection.proposals)
            if let selected { return selected }
        }
        guard let first = candidates.first else {
            throw InitialRefusal(.noProposalChosen, Explanation("no connection is for these addresses"))
        }
        throw InitialRefusal(
            .noProposalChosen,
            IKENegotiation.explain(offered: offer, configured: first.proposals, connection: first.name))
    }

    func keyExchange() throws(InitialRefusal) -> KeyExchange {
        do { return try KeyExchange(selected.keyExchange) } catch {
            throw InitialRefusal(.temporaryFailure, Explanation("no key exchange value", details: ["\(error)"]))
        }
    }

    func sharedSecret(_ own: KeyExchange) throws(InitialRefusal) -> SecretBytes {
        do { return try own.sharedSecret(with: value.data) } catch {
            throw InitialRefusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(error)"]))
        }
    }

    /// SAr1 KEr Nr [CERTREQ], and what we can.
    func answer(
        _ own: KeyExchange, nonce: [UInt8], header: IKEHeader, path: Path, _ credentials: Credentials
    ) -> [Payload] {
        var payloads: [Payload] = [
            .securityAssociation(IKENegotiation.answer(selected, spi: nil)),
            .keyExchange(
                KeyExchangePayload(method: .init(rawValue: own.method.rawValue), data: own.publicValue)),
            .nonce(NoncePayload(nonce)),
        ]
        payloads += PeerAuthentication.requests(for: candidates, credentials).map { .certificateRequest($0) }
        payloads += NATDetection.notifies(header, path: path, forced: forcesEncapsulation)
        payloads += Session.capabilities(of: candidates)
        if candidates.contains(where: { $0.childless != .never }) {
            payloads.append(.notify(NotifyPayload(.childlessSupported)))
        }
        return payloads
    }
}
