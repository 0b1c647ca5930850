import Cryptography
import IKEv2Messages

// Key exchanges within IKE: the numbers and payloads of messages to and from the steps of ``KeyExchange``.

extension KeyExchangeMethod {
    /// The method with this number; nil: it is not implemented here.
    init?(_ id: KeyExchangeID) { self.init(rawValue: id.rawValue) }

    var id: KeyExchangeID { KeyExchangeID(rawValue: rawValue) }

    /// The initiator's value, for a request.
    func initiate() throws(Refusal) -> KeyExchange {
        do { return try KeyExchange.initiate(self) } catch {
            throw Refusal(.temporaryFailure, Explanation("no key exchange value", details: ["\(error)"]))
        }
    }

    /// The responder's value, which may depend on the initiator's, and the secret. Throws INVALID_KE_PAYLOAD when the
    /// initiator began with another method.
    func respond(
        to payload: KeyExchangePayload?
    ) throws(Refusal) -> (payload: KeyExchangePayload, secret: SecretBytes) {
        guard let payload, payload.method == id else {
            let began = payload.map { "\($0.method)" } ?? "no key exchange"
            throw Refusal(
                .invalidKeyExchange(wanted: id), Explanation("the peer began with \(began); \(self) was asked for"))
        }
        do throws(KeyExchangeError) {
            // Who sends a value that is none costs no key pair.
            return try respond(to: PeerPublicValue(self, payload.data))
        } catch {
            throw error.refusal
        }
    }

    /// The same with a value that was checked.
    func respond(
        to value: PeerPublicValue
    ) throws(KeyExchangeError) -> (payload: KeyExchangePayload, secret: SecretBytes) {
        let response = try KeyExchange.respond(to: value)
        return (KeyExchangePayload(method: id, data: response.value), response.secret)
    }
}

extension KeyExchangeError {
    /// The refusal of a peer with this value.
    var refusal: Refusal {
        switch self {
        case .failure: Refusal(.temporaryFailure, Explanation("no key exchange value", details: ["\(self)"]))
        case .publicValueLength, .invalidPublicValue:
            Refusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(self)"]))
        }
    }
}

extension KeyExchange {
    /// The initiator's value.
    var payload: KeyExchangePayload { KeyExchangePayload(method: method.id, data: publicValue) }

    /// The initiator's secret of an exchange in which the responder `selected` a method; nil when it selected none.
    static func finish(
        _ own: KeyExchange?, selected: KeyExchangeMethod?, with answer: KeyExchangePayload?
    ) throws(Refusal) -> SecretBytes? {
        guard let selected else { return nil }
        guard let own, let answer, own.method == selected, answer.method == selected.id else {
            throw Refusal(.invalidSyntax, Explanation("the peer chose \(selected) and sent no value of it"))
        }
        do { return try own.finish(with: answer.data) } catch {
            throw Refusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(error)"]))
        }
    }
}
