import Cryptography
import IKEv2Messages
import IPsec

/// What the initiator of a CREATE_CHILD_SA remembers of a child between request and response (RFC 7296 section 1.3.1).
struct OfferedChild {
    let child: Child
    let inboundSPI: UInt32
    let nonce: [UInt8]
    let keyExchange: KeyExchange?
}

extension Session {
    /// SA Ni [KEi] TSi TSr. `method`: of the key exchange; nil: what the first proposal puts first, if anything.
    func offer(
        _ child: Child, method: KeyExchangeMethod?, hint: TrafficSelector?, _ step: inout Step
    ) throws(Refusal) -> (OfferedChild, [Payload]) {
        let keyExchange = try (method ?? child.proposals.first?.firstKeyExchange).map(Self.keyExchange)
        let offered = OfferedChild(
            child: child, inboundSPI: try allocateSPI(&step), nonce: Self.nonce(step), keyExchange: keyExchange)
        var payloads = childOffer(child, inboundSPI: offered.inboundSPI, withKeyExchange: true, hint: hint)
        payloads.insert(.nonce(NoncePayload(offered.nonce)), at: 1)
        if let keyExchange { payloads.insert(.keyExchange(keyExchange.payload), at: 2) }
        return (offered, payloads)
    }

    /// The SA that a response without error makes of an offer, and the nonce of the responder. `original`: the child as
    /// configured, where the offer had narrower selectors.
    func accept(
        _ response: Message, of offered: OfferedChild, as original: Child? = nil, requestID: UInt32? = nil,
        _ step: inout Step
    ) throws(Refusal) -> (sa: ChildSA, nonce: [UInt8]) {
        var agreement = try agreement(
            on: response, offered: offered.child, inboundSPI: offered.inboundSPI, withKeyExchange: true)
        if let original { agreement.child = original }
        guard let nonce = response.nonce?.data else {
            throw Refusal(
                .invalidSyntax, Explanation("the peer's answer for child \(offered.child.name) has no nonce"))
        }
        let secret = try Self.secret(
            agreement.selected.keyExchange, own: offered.keyExchange, peer: response.keyExchange)
        let sa = try makeChild(
            agreement, secret: secret, initiatorNonce: offered.nonce, responderNonce: nonce, initiator: true,
            requestID: requestID, &step)
        return (sa, nonce)
    }
}
