import Cryptography
import IKEv2Messages

extension KeyExchangeMethod {
    /// nil: the method is not implemented here.
    init?(_ id: KeyExchangeID) { self.init(rawValue: id.rawValue) }

    var id: KeyExchangeID { KeyExchangeID(rawValue: rawValue) }
}

extension Session {
    static func nonce(_ step: Step) -> [UInt8] { step.environment.random(count: InitialExchange.nonceLength) }

    static func keyExchange(_ method: KeyExchangeMethod) throws(Refusal) -> KeyExchange {
        do { return try KeyExchange(method) } catch {
            throw Refusal(.temporaryFailure, Explanation("no key exchange value", details: ["\(error)"]))
        }
    }

    /// g^ir of an exchange that `selected` a method; nil when it selected none.
    static func secret(
        _ selected: KeyExchangeMethod?, own: KeyExchange?, peer: KeyExchangePayload?
    ) throws(Refusal) -> SecretBytes? {
        guard let selected else { return nil }
        guard let own, let peer, own.method == selected, peer.method == selected.id else {
            throw Refusal(
                .invalidSyntax, Explanation("the peer chose \(selected) and sent no value of it"))
        }
        do { return try own.sharedSecret(with: peer.data) } catch {
            throw Refusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(error)"]))
        }
    }

    /// A value for the method that was selected; throws INVALID_KE_PAYLOAD when the peer began with another one.
    func ownKeyExchange(
        _ selected: KeyExchangeMethod?, for request: Message
    ) throws(Refusal) -> KeyExchange? {
        guard let selected else { return nil }
        guard let value = request.keyExchange, value.method == selected.id else {
            let began = request.keyExchange.map { "\($0.method)" } ?? "no key exchange"
            throw Refusal(
                .invalidKeyExchange(wanted: selected.id),
                Explanation("the peer began with \(began); \(selected) was asked for"))
        }
        // Who sends a value that is none costs no key pair.
        do { _ = try PeerPublicValue(selected, value.data) } catch {
            throw Refusal(.invalidSyntax, Explanation("the key exchange failed", details: ["\(error)"]))
        }
        return try Self.keyExchange(selected)
    }
}

extension KeyExchange {
    var payload: KeyExchangePayload {
        KeyExchangePayload(method: method.id, data: publicValue)
    }
}
