import Cryptography
import IKEv2Messages
import IPsec

/// IKE_SA_INIT as the initiator (RFC 7296 sections 1.2, 2.6, 2.7): what has to be remembered until the answer.
///
///     SAi1 KEi Ni [N(COOKIE)] -->
///                             <-- SAr1 KEr Nr [CERTREQ]
///
/// A demand for a cookie, and one for another group, begin it anew under the same message id and with the same nonce,
/// which the cookie covers.
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

// MARK: - The request

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
            .keyExchange(
                KeyExchangePayload(
                    method: .init(rawValue: exchange.keyExchange.method.rawValue),
                    data: exchange.keyExchange.publicValue)),
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
}
