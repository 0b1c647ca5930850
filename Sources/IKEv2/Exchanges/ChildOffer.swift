import Cryptography
import IKEv2Messages
import IPsec
import Packets

// What new children and rekeys of children have in common (RFC 7296 sections 1.3.1 and 1.3.3).

/// An offer of a child by CREATE_CHILD_SA: the initiator's state between request and response.
struct OfferedChild {
    let child: Child
    let inboundSPI: SPI
    let nonce: [UInt8]
    let keyExchange: KeyExchange?

    /// SA Ni [KEi] TSi TSr. `method`: of the key exchange; nil: what the first proposal puts first, if anything.
    static func offer(
        _ child: Child, method: KeyExchangeMethod?, hint: TrafficSelector?, in session: Session, _ step: inout Step
    ) throws(Refusal) -> (OfferedChild, [Payload]) {
        var keyExchange: KeyExchange?
        if let method = method ?? child.proposals.first?.firstKeyExchange { keyExchange = try method.initiate() }
        let offered = OfferedChild(
            child: child, inboundSPI: try step.allocateSPI(), nonce: step.nonce(), keyExchange: keyExchange)
        var payloads = ChildAgreement.offer(
            child, inboundSPI: offered.inboundSPI, withKeyExchange: true, hint: hint,
            context: session.selectorContext(step.environment))
        payloads.insert(.nonce(NoncePayload(offered.nonce)), at: 1)
        if let keyExchange { payloads.insert(.keyExchange(keyExchange.payload), at: 2) }
        return (offered, payloads)
    }

    /// The SA that a response without error makes of the offer, and the nonce of the responder. `original`: the child as
    /// configured, where the offer had narrower selectors.
    func accept(
        _ response: Message, as original: Child, requestID: UInt32? = nil, in session: Session, _ step: inout Step
    ) throws(Refusal) -> (sa: ChildSA, nonce: [UInt8]) {
        var agreement = try ChildAgreement(
            response, offered: child, inboundSPI: inboundSPI, withKeyExchange: true, in: session, step)
        agreement.child = original
        guard let responderNonce = response.nonce?.data else {
            throw Refusal(.invalidSyntax, Explanation("the peer's answer for child \(child.name) has no nonce"))
        }
        let secret = try KeyExchange.finish(
            keyExchange, selected: agreement.selected.keyExchange, with: response.keyExchange)
        let sa = try agreement.makeChild(
            secret: secret, initiatorNonce: nonce, responderNonce: responderNonce, initiator: true,
            requestID: requestID, in: session, &step)
        return (sa, responderNonce)
    }
}

/// A child that the answer to a CREATE_CHILD_SA makes: the responder's side.
struct AnsweredChild {
    let sa: ChildSA
    /// SA Nr [KEr] TSi TSr.
    let payloads: [Payload]
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]

    /// Negotiates a child with the peer's offer. Nothing is installed yet.
    /// - Parameter old: the SA that the new one is for: all of its packets are packets of the new one (section 2.9.2).
    init(
        _ request: Message, among children: [Child], replacing old: ChildSA?, in session: Session, _ step: inout Step
    ) throws(Refusal) {
        // A rekey makes no more of them in the end; a peer that never deletes what it has rekeyed is stopped all the same.
        let present = session.childTable.count
        let count = old == nil ? present : present / 2
        guard count < step.settings.maximumChildren else {
            throw Refusal(
                .noAdditionalSAs, Explanation("the IKE SA has \(present) children, which is the limit"))
        }
        guard let initiatorNonce = request.nonce?.data else {
            throw Refusal(.invalidSyntax, Explanation("the peer's request has no nonce"))
        }
        let agreement = try ChildAgreement(request, among: children, withKeyExchange: true, in: session, &step)
        do throws(Refusal) {
            if let old, !agreement.covers(old) { throw Self.narrower(agreement, old) }
            let answer = try agreement.selected.keyExchange?.respond(to: request.keyExchange)
            let nonce = step.nonce()
            sa = try agreement.makeChild(
                secret: answer?.secret, initiatorNonce: initiatorNonce, responderNonce: nonce, initiator: false,
                requestID: old?.requestID, in: session, &step)
            var payloads = agreement.answer
            payloads.insert(.nonce(NoncePayload(nonce)), at: 1)
            if let answer { payloads.insert(.keyExchange(answer.payload), at: 2) }
            self.payloads = payloads
            self.initiatorNonce = initiatorNonce
            responderNonce = nonce
        } catch {
            step.act(.releaseSPI(agreement.inboundSPI))
            throw error
        }
    }

    private static func narrower(_ agreement: ChildAgreement, _ old: ChildSA) -> Refusal {
        Refusal(
            .trafficSelectorsUnacceptable,
            Explanation(
                "a rekey of child \(old.child.name) would leave packets without an SA",
                details: [
                    "in use: \(old.selectorText)",
                    "wanted: \(SelectorSide.text(agreement.local, agreement.remote))",
                ], remedy: "let the peer rekey with the traffic selectors that are in use (RFC 7296 section 2.9.2)"))
    }
}
