import Cryptography
import IKEv2Messages
import IPsec
import Packets

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
    private let nonce: [UInt8]
    private var keyExchange: KeyExchange
    private var cookie: NotifyPayload?
    /// The last one, as it was on the wire.
    private var request: [UInt8] = []
    private var restarts = 0
    /// The refusal in an answer that anybody could have sent (section 2.21.1).
    private var refusal: Explanation?

    /// Cookies and groups that are given in to; a peer that asks for more asks for ever.
    static let maximumRestarts = 5

    // MARK: - Initiator

    init(
        _ method: KeyExchangeMethod, children: [Child], hint: TrafficSelector?, pair: SelectorPair?, _ step: Step
    ) throws(Refusal) {
        self.children = children
        self.hint = hint
        self.pair = pair
        nonce = step.nonce()
        keyExchange = try method.initiate()
    }

    func send(in session: Session, _ step: inout Step) {
        guard let connection = session.connection else { return }
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: 0, exchange: .initial, direction: .request,
            isFromInitiator: true, messageID: 0)
        var payloads: [Payload] = cookie.map { [.notify($0)] } ?? []
        payloads += [
            .securityAssociation(IKENegotiation.offer(connection.proposals, spi: nil)),
            .keyExchange(keyExchange.payload),
            .nonce(NoncePayload(nonce)),
        ]
        payloads += NATDetection.notifies(header, path: session.path, forced: connection.forcesEncapsulation)
        payloads += Self.capabilities(of: [connection])
        let message = Message(header: header, payloads: payloads)
        var exchange = self
        do {
            exchange.request = try message.encoded()
        } catch {
            step.fail(Explanation("IKE_SA_INIT could not be made", details: ["\(error)"]))
            return
        }
        session.lifecycle.began(exchange)
        session.sender.plain(message, exchange.request, &step)
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

    /// An answer, which anybody could have made up; else a hint.
    func response(
        _ received: ReceivedMessage, _ message: Message, form: MessageForm.Name, path: Path, in session: Session,
        _ step: inout Step
    ) {
        switch form {
        case .cookieDemand: demanded(message, session, &step)
        case .initialRefusal: refused(message, session, &step)
        case .initialResponse: accepted(received, message, path: path, session, &step)
        default: break
        }
    }

    private func demanded(_ message: Message, _ session: Session, _ step: inout Step) {
        // Section 2.6: 1 to 64 bytes.
        guard let cookie = message.notify(.cookie), 1...64 ~= cookie.data.count, cookie != self.cookie else {
            return
        }
        var exchange = self
        exchange.cookie = cookie
        exchange.restart(session, &step)
    }

    private func restart(_ session: Session, _ step: inout Step) {
        var exchange = self
        exchange.restarts += 1
        guard exchange.restarts <= Self.maximumRestarts else { return }
        session.window.takeBack()
        exchange.send(in: session, &step)
    }

    /// INVALID_KE_PAYLOAD is acted on. Anything else is believed when it is said again to a repetition: one who cannot
    /// see our messages could only forge it once (section 2.21.1).
    private func refused(_ message: Message, _ session: Session, _ step: inout Step) {
        guard let error = message.errorNotify, let connection = session.connection else { return }
        var exchange = self
        if error.type == .invalidKeyExchange {
            let wanted = IKENegotiation.retryMethod(
                error, offered: connection.proposals, refused: keyExchange.method)
            if let fresh = try? wanted?.initiate() {
                exchange.keyExchange = fresh
                exchange.restart(session, &step)
                return
            }
        }
        let explanation =
            (error.type == .noProposalChosen
            ? IKENegotiation.explainRefusal(of: connection.proposals, connection: connection.name)
            : Explanation("the peer refuses IKE_SA_INIT: \(error.type)")).because(error.type)
        if exchange.refusal != nil, session.window.outstanding?.repetitions ?? 0 > 0 {
            step.fail(explanation)
        } else {
            exchange.refusal = explanation
            session.lifecycle.began(exchange)
            step.note(.info, "the peer refuses IKE_SA_INIT with \(error.type); asked once more")
        }
    }

    /// Both sides have what keys are made of.
    private func accepted(
        _ received: ReceivedMessage, _ message: Message, path: Path, _ session: Session, _ step: inout Step
    ) {
        guard let connection = session.connection, let answer = message.securityAssociation,
            let value = message.keyExchange, let responderNonce = message.nonce?.data
        else { return }
        guard let selected = IKENegotiation.check(answer, offered: connection.proposals),
            selected.keyExchange == keyExchange.method, value.method == selected.keyExchange.id
        else {
            let details = [
                "offered: \(connection.proposals.map(\.description).joined(separator: ", "))",
                "chosen: \(answer.shown)",
            ]
            step.fail(
                Explanation("the peer chose what was not offered", details: details, remedy: "change the peer"))
            return
        }
        do {
            let agreement = KeyAgreement(
                selected: selected, role: .initiator, initiatorNonce: nonce, responderNonce: responderNonce,
                initiatorSPI: session.initiatorSPI, responderSPI: message.header.responderSPI)
            let state = try Authenticating(
                agreement, secret: keyExchange.finish(with: value.data), initialRequest: request,
                initialResponse: received.bytes, candidateSet: CandidateSet([connection]),
                certificateRequests: message.certificateRequests)
            session.learn(from: message, path: path, forced: connection.forcesEncapsulation)
            session.window.completed()
            session.agreed(on: state, halfOpenUntil: nil, step)
            session.exchanges.add(AuthenticationExchange(children: children, hint: hint, pair: pair))
        } catch {
            step.fail(Explanation("the key exchange failed", details: ["\(error)"]))
        }
    }

    /// All repetitions went unanswered, or were refused.
    func unanswered(in session: Session, _ step: inout Step) {
        if let refusal {
            step.fail(refusal)
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

    // MARK: - Responder

    /// The answer to an IKE_SA_INIT. What is refused leaves nothing behind: then the session is nil.
    static func respond(
        to received: ReceivedMessage, path: Path, candidates: CandidateSet, timeoutInSeconds: UInt64,
        _ step: inout Step
    ) -> Session? {
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
        do throws(Refusal) {
            let request = try InitialRequest(received, candidates: candidates)
            return try accept(request, path: path, timeoutInSeconds: timeoutInSeconds, &step)
        } catch {
            step.act(
                error.notify.type == .invalidKeyExchange
                    ? .remark { "IKE_SA_INIT begins anew: \(error.explanation)" } : .explain { error.explanation })
            refuse(received.header, error.notify, path: path, &step)
            return nil
        }
    }

    private static func accept(
        _ request: InitialRequest, path: Path, timeoutInSeconds: UInt64, _ step: inout Step
    ) throws(Refusal) -> Session {
        let end = step.now + .seconds(timeoutInSeconds)
        let answer = try request.keyExchange()
        let header = request.message.header.response(responderSPI: step.environment.randomSPI())
        let session = Session(
            id: step.environment.uniqueID(), role: .responder, initiatorSPI: header.initiatorSPI,
            responderSPI: header.responderSPI, connection: nil, path: path, now: step.now)
        let nonce = step.nonce()
        session.learn(from: request.message, path: path, forced: request.candidates.forcesEncapsulation)

        let response = Message(
            header: header,
            payloads: request.answer(answer.payload, nonce: nonce, header: header, path: path, step.credentials))
        do {
            let bytes = try response.encoded()
            let agreement = KeyAgreement(
                selected: request.selected, role: .responder, initiatorNonce: request.nonce, responderNonce: nonce,
                initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI)
            let state = try Authenticating(
                agreement, secret: answer.secret, initialRequest: request.bytes, initialResponse: bytes,
                candidateSet: request.candidates, certificateRequests: [])
            session.agreed(on: state, halfOpenUntil: end, step)
            session.sender.plain(response, bytes, &step)
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
}
