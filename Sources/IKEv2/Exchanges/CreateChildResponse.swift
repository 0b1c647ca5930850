import Cryptography
import IKEv2Messages
import IPsec

// CREATE_CHILD_SA as the responder (RFC 7296 sections 1.3 and 2.25). What is refused leaves everything as it is.

extension Session {
    func respondToCreateChild(_ request: Message, form: MessageForm.Name, _ step: inout Step) -> [Payload] {
        do throws(ChildRefusal) {
            switch form {
            case .rekeyIKERequest: return try respondToIKERekey(request, &step)
            case .rekeyChildRequest: return try respondToChildRekey(request, &step)
            default: return try respondToNewChild(request, &step)
            }
        } catch {
            let isPassing = [.temporaryFailure, .invalidKeyExchange].contains(error.notify.type)
            step.note(
                isPassing ? .info : .warning,
                "the peer's CREATE_CHILD_SA is refused with \(error.notify.type): \(error.explanation)")
            return [.notify(error.notify)]
        }
    }

    private func respondToNewChild(_ request: Message, _ step: inout Step) throws(ChildRefusal) -> [Payload] {
        try requireNoIKERekey()
        let answered = try answer(request, among: connection?.negotiated ?? [], replacing: nil, &step)
        install(answered.sa, isAnswer: true, &step)
        return answered.payloads
    }

    /// A child cannot be made or rekeyed in an IKE SA that is itself being replaced or deleted (section 2.25.2).
    func requireNoIKERekey() throws(ChildRefusal) {
        guard case .established(let state) = phase, state.state == .established else {
            throw ChildRefusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
        }
    }

    /// A child that the answer to a request makes.
    struct AnsweredChild {
        var sa: ChildSA
        /// SA Nr [KEr] TSi TSr.
        var payloads: [Payload]
        var initiatorNonce: [UInt8]
        var responderNonce: [UInt8]
    }

    /// Negotiates a child with the peer's offer. Nothing is installed yet.
    /// - Parameter old: the SA that the new one is for: all of its packets are packets of the new one (section 2.9.2).
    func answer(
        _ request: Message, among children: [Child], replacing old: ChildSA?, _ step: inout Step
    ) throws(ChildRefusal) -> AnsweredChild {
        // A rekey makes no more of them in the end; a peer that never deletes what it has rekeyed is stopped all the same.
        let count = old == nil ? childRecords.count : childRecords.count / 2
        guard count < step.settings.maximumChildren else {
            throw ChildRefusal(
                .noAdditionalSAs, Explanation("the IKE SA has \(childRecords.count) children, which is the limit"))
        }
        guard let initiatorNonce = request.nonce?.data else {
            throw ChildRefusal(.invalidSyntax, Explanation("the peer's request has no nonce"))
        }
        let agreement = try agreement(on: request, among: children, withKeyExchange: true, &step)
        do throws(ChildRefusal) {
            if let old, !agreement.covers(old) { throw narrower(agreement, old) }
            let own = try ownKeyExchange(agreement.selected.keyExchange, for: request)
            let nonce = Self.nonce(step)
            let secret = try Self.secret(agreement.selected.keyExchange, own: own, peer: request.keyExchange)
            let sa = try makeChild(
                agreement, secret: secret, initiatorNonce: initiatorNonce, responderNonce: nonce, initiator: false,
                requestID: old?.requestID, &step)
            var payloads = childAnswer(agreement)
            payloads.insert(.nonce(NoncePayload(nonce)), at: 1)
            if let own { payloads.insert(.keyExchange(own.payload), at: 2) }
            return AnsweredChild(sa: sa, payloads: payloads, initiatorNonce: initiatorNonce, responderNonce: nonce)
        } catch {
            step.act(.releaseSPI(agreement.inboundSPI))
            throw error
        }
    }

    private func narrower(_ agreement: ChildAgreement, _ old: ChildSA) -> ChildRefusal {
        ChildRefusal(
            .trafficSelectorsUnacceptable,
            Explanation(
                "a rekey of child \(old.child.name) would leave packets without an SA",
                details: [
                    "in use: \(old.selectorText)",
                    "wanted: \(SelectorSide.text(agreement.local, agreement.remote))",
                ], remedy: "let the peer rekey with the traffic selectors that are in use (RFC 7296 section 2.9.2)"))
    }

    /// A value for the method that was selected; throws INVALID_KE_PAYLOAD when the peer began with another one.
    func ownKeyExchange(
        _ selected: KeyExchangeMethod?, for request: Message
    ) throws(ChildRefusal) -> KeyExchange? {
        guard let selected else { return nil }
        guard let value = request.keyExchange, value.method.rawValue == selected.rawValue else {
            let began = request.keyExchange.map { "\($0.method)" } ?? "no key exchange"
            var refusal = ChildRefusal(
                .invalidKeyExchange, Explanation("the peer began with \(began); \(selected) was asked for"))
            refusal.notify = .invalidKeyExchange(wanted: .init(rawValue: selected.rawValue))
            throw refusal
        }
        // Who sends a value that is none costs no key pair.
        do { _ = try PeerPublicValue(selected, value.data) } catch {
            throw ChildRefusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(error)"]))
        }
        return try Self.keyExchange(selected)
    }
}
