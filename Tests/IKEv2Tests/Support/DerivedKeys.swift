import Cryptography
import IKEv2
import Testing

/// One of NIST's published vectors for the key derivation of IKEv2 (SP 800-135 section 4.1.2), in hexadecimal. In all of
/// them children and the rekeying take the nonces of the first exchange.
struct DerivedKeys: Sendable, CustomTestStringConvertible {
    let source: String
    let function: PRF
    let initiatorNonce: String
    let responderNonce: String
    let initiatorSPI: UInt64
    let responderSPI: UInt64
    /// g^ir, and g^ir (new).
    let secret: String
    let newSecret: String
    /// SKEYSEED.
    let seed: String
    /// DKM: SK_d and what follows it.
    let keyMaterial: String
    /// DKM(Child SA) and DKM(Child SA D-H), where published.
    var child: String?
    var childWithExchange: String?
    /// SKEYSEED(rekey).
    let rekeySeed: String

    var testDescription: String { source }

    static let all = cavs + acvp

    /// The first IKE SA, with a cipher suite of one's choice.
    func keys(_ suite: IKECipherSuite) throws -> IKEKeys {
        try IKEKeys(
            SelectedIKE(suite: suite, function: function, keyExchange: .x25519),
            secret: SecretBytes(copying: bytes(secret)), initiatorNonce: bytes(initiatorNonce),
            responderNonce: bytes(responderNonce), initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }
}

/// Pairs of hexadecimal digits.
func bytes(_ digits: String) -> [UInt8] {
    var rest = digits.filter { !$0.isWhitespace }[...]
    var bytes: [UInt8] = []
    while let byte = UInt8(rest.prefix(2), radix: 16) {
        bytes.append(byte)
        rest = rest.dropFirst(2)
    }
    return bytes
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func hexadecimal(_ secret: SecretBytes) -> String { secret.withUnsafeBytes { hexadecimal($0) } }
