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
            let explanation = error.explanation
            step.act(
                error.notify.type == .invalidKeyExchange
                    ? .remark { "IKE_SA_INIT begins anew: \(explanation())" } : .explain(explanation))
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
            throw InitialRefusal(
                .invalidSyntax, Explanation("IKE_SA_INIT cannot be answered", details: ["\(problem)"]))
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

/// Why an IKE_SA_INIT is refused: what the peer is told, and what our operator is, if there is room in the log.
struct InitialRefusal: Error {
    let notify: NotifyPayload
    let explanation: @Sendable () -> Explanation

    init(_ notify: NotifyPayload, _ explanation: @autoclosure @escaping @Sendable () -> Explanation) {
        self.notify = notify
        self.explanation = explanation
    }

    init(_ type: NotifyType, _ explanation: @autoclosure @escaping @Sendable () -> Explanation) {
        self.notify = NotifyPayload(type)
        self.explanation = explanation
    }
}

/// An IKE_SA_INIT request that is complete, has algorithms in common with us and a value that is one of its group: all
/// that can be found wrong with it is found before a key of ours is made for it.
private struct InitialRequest {
    let bytes: [UInt8]
    let message: Message
    let selected: SelectedIKE
    /// Those that take what was selected. What they announce is told now or never, before it is known which it is.
    let candidates: CandidateSet
    let nonce: [UInt8]
    private let value: PeerPublicValue

    init(_ received: ReceivedMessage, candidates all: CandidateSet) throws(InitialRefusal) {
        guard let message = received.plainMessage else {
            throw InitialRefusal(.invalidSyntax, Explanation("IKE_SA_INIT came encrypted"))
        }
        do { _ = try MessageRules.check(message) } catch {
            let problem = error
            throw InitialRefusal(
                problem.answer, Explanation("IKE_SA_INIT is not well formed", details: ["\(problem)"]))
        }
        guard let offer = message.securityAssociation, let value = message.keyExchange, let nonce = message.nonce else {
            throw InitialRefusal(.invalidSyntax, Explanation("IKE_SA_INIT is not complete"))
        }
        selected = try Self.select(offer, begun: value.method, all)
        candidates = all.accepting(selected)
        if value.method.rawValue != selected.keyExchange.rawValue {
            let wanted = KeyExchangeID(rawValue: selected.keyExchange.rawValue)
            let asked = selected.keyExchange
            throw InitialRefusal(
                .invalidKeyExchange(wanted: wanted),
                Explanation("the peer began with \(value.method); \(asked) was asked for"))
        }
        do { self.value = try PeerPublicValue(selected.keyExchange, value.data) } catch {
            let problem = error
            throw InitialRefusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(problem)"]))
        }
        bytes = received.bytes
        self.message = message
        self.nonce = nonce.data
    }

    private static func select(
        _ offer: SecurityAssociationPayload, begun: KeyExchangeID, _ candidates: CandidateSet
    ) throws(InitialRefusal) -> SelectedIKE {
        if let selected = candidates.select(offer, begun: begun) { return selected }
        guard let first = candidates.connections.first else {
            throw InitialRefusal(.noProposalChosen, Explanation("no connection is for these addresses"))
        }
        let others = candidates.others(than: first)
        throw InitialRefusal(.noProposalChosen, explanation(offer, first, others))
    }

    private static func explanation(
        _ offer: SecurityAssociationPayload, _ first: Connection, _ others: [Connection]
    ) -> Explanation {
        func explain(_ connection: Connection) -> Explanation {
            IKENegotiation.explain(offered: offer, configured: connection.proposals, connection: connection.name)
        }
        var explanation = explain(first)
        for other in others {
            explanation.details += explain(other).details.map { "connection \(other.name): \($0)" }
        }
        return explanation
    }

    func keyExchange() throws(InitialRefusal) -> KeyExchange {
        do { return try KeyExchange(selected.keyExchange) } catch {
            let problem = error
            throw InitialRefusal(.temporaryFailure, Explanation("no key exchange value", details: ["\(problem)"]))
        }
    }

    func sharedSecret(_ own: KeyExchange) throws(InitialRefusal) -> SecretBytes {
        do { return try own.sharedSecret(with: value) } catch {
            let problem = error
            throw InitialRefusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(problem)"]))
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
        payloads += candidates.certificateRequests(credentials).map { .certificateRequest($0) }
        payloads += NATDetection.notifies(header, path: path, forced: candidates.forcesEncapsulation)
        payloads += candidates.capabilities
        if candidates.takesChildless {
            payloads.append(.notify(NotifyPayload(.childlessSupported)))
        }
        return payloads
    }
}
