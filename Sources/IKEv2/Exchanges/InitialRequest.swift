import Cryptography
import IKEv2Messages

/// An IKE_SA_INIT request that is complete, has algorithms in common with us and a value that is one of its group: all
/// that can be found wrong with it is found before a key of ours is made for it.
struct InitialRequest {
    let bytes: [UInt8]
    let message: Message
    let selected: SelectedIKE
    /// The connections that take what was selected. What they announce is told now or never, before it is known which
    /// it is.
    let candidates: CandidateSet
    let nonce: [UInt8]
    private let value: PeerPublicValue

    init(_ received: ReceivedMessage, candidates all: CandidateSet) throws(Refusal) {
        guard let message = received.plainMessage else {
            throw Refusal(.invalidSyntax, unsaid: Explanation("IKE_SA_INIT came encrypted"))
        }
        do { _ = try MessageRules.check(message) } catch {
            let problem = error
            throw Refusal(
                problem.answer, unsaid: Explanation("IKE_SA_INIT is not well formed", details: ["\(problem)"]))
        }
        guard let offer = message.securityAssociation, let value = message.keyExchange, let nonce = message.nonce else {
            throw Refusal(.invalidSyntax, unsaid: Explanation("IKE_SA_INIT is not complete"))
        }
        selected = try Self.select(offer, begun: value.method, all)
        candidates = all.accepting(selected)
        if value.method != selected.keyExchange.id {
            let wanted = selected.keyExchange.id
            let asked = selected.keyExchange
            throw Refusal(
                .invalidKeyExchange(wanted: wanted),
                unsaid: Explanation("the peer began with \(value.method); \(asked) was asked for"))
        }
        do { self.value = try PeerPublicValue(selected.keyExchange, value.data) } catch {
            let problem = error
            throw Refusal(.invalidSyntax, unsaid: Explanation("the key exchange failed", details: ["\(problem)"]))
        }
        bytes = received.bytes
        self.message = message
        self.nonce = nonce.data
    }

    private static func select(
        _ offer: SecurityAssociationPayload, begun: KeyExchangeID, _ candidates: CandidateSet
    ) throws(Refusal) -> SelectedIKE {
        if let selected = candidates.select(offer, begun: begun) { return selected }
        guard let first = candidates.connections.first else {
            throw Refusal(.noProposalChosen, unsaid: Explanation("no connection is for these addresses"))
        }
        let others = candidates.others(than: first)
        throw Refusal(.noProposalChosen, unsaid: explanation(offer, first, others))
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

    /// Our value, and the secret.
    func keyExchange() throws(Refusal) -> (payload: KeyExchangePayload, secret: SecretBytes) {
        do throws(KeyExchangeError) { return try selected.keyExchange.respond(to: value) } catch {
            throw error.refusal
        }
    }

    /// SAr1 KEr Nr [CERTREQ], and what we can.
    func answer(
        _ keyExchange: KeyExchangePayload, nonce: [UInt8], header: IKEHeader, path: Path, _ credentials: Credentials
    ) -> [Payload] {
        var payloads: [Payload] = [
            .securityAssociation(IKENegotiation.answer(selected, spi: nil)),
            .keyExchange(keyExchange),
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
