import Cryptography

/// Values of one IKE_SA_INIT from which the keys of its IKE SA are derived: first by its own key exchange, then again by each
/// further secret that the two sides share before IKE_AUTH.
///
/// | Secret | Keys that change | |
/// |-|-|-|
/// | g^ir of IKE_SA_INIT | the first ones | RFC 7296 section 2.14 |
/// | of a key exchange of IKE_INTERMEDIATE | all | RFC 9370 section 2.2.2 |
/// | post-quantum preshared key | SK_d, SK_pi, SK_pr | RFC 8784 section 3 |
///
/// Keys are zeroed when the last protection that has them is gone.
struct KeyAgreement {
    /// A secret that goes into the keys.
    enum Contribution {
        case keyExchange(SecretBytes)
        case preshared(SecretBytes)
    }

    let selected: SelectedIKE
    /// Our end.
    let role: IKERole
    let initiatorNonce: [UInt8]
    let responderNonce: [UInt8]
    let initiatorSPI: UInt64
    let responderSPI: UInt64

    /// The nonce that the peer has sent.
    var peerNonce: [UInt8] { role == .initiator ? responderNonce : initiatorNonce }

    /// The first keys.
    func protection(secret: SecretBytes) throws(CryptographyError) -> Protection {
        let keys = try IKEKeys(
            selected, secret: secret, initiatorNonce: initiatorNonce, responderNonce: responderNonce,
            initiatorSPI: initiatorSPI, responderSPI: responderSPI)
        return Protection(selected, keys: keys, role: role)
    }

    /// The keys that follow `keys`.
    func protection(after keys: IKEKeys, _ contribution: Contribution) throws(CryptographyError) -> Protection {
        let next =
            switch contribution {
            case .keyExchange(let secret):
                try keys.rederived(with: secret, initiatorNonce: initiatorNonce, responderNonce: responderNonce)
            case .preshared(let secret): try keys.mixed(with: secret)
            }
        return Protection(selected, keys: next, role: role)
    }
}
