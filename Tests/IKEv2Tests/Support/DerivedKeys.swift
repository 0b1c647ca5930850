import Cryptography
import IKEv2

/// Inputs of NIST's CAVP vectors for IKEv2 (SP 800-135), of which only the SHA-1 ones are at hand. The outputs were computed
/// from them with Python's `hmac`, by a program that gives NIST's results for SHA-1.
struct DerivedKeys: Sendable {
    static let initiatorNonce: [UInt8] = bytes("32b50d5f4a3763f3")
    static let responderNonce: [UInt8] = bytes("9206a04b26564cb1")
    static let secret = bytes("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52")
    static let newSecret = bytes("863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330")
    static let initiatorSPI: UInt64 = 0x34c9_e7c1_8886_8785
    static let responderSPI: UInt64 = 0x3ff7_7d76_0d2b_2199

    let function: PRF
    let integrity: IKECipherSuite.Integrity
    /// SK_ei and SK_pr of AES-CBC with 256 bits.
    let cbcEncryption: String
    let cbcProof: String
    /// Of AES-GCM with 256 bits: SK_ei, SK_er, SK_pi.
    let initiatorEncryption: String
    let responderEncryption: String
    let proof: String
    /// SK_ai and SK_ar of AES-CBC.
    let initiatorIntegrity: String
    let responderIntegrity: String
    /// KEYMAT of both directions of AES-GCM with 256 bits, without and with a key exchange of its own.
    let child: String
    let childWithExchange: String
    /// SK_ei and SK_pr of the IKE SA that replaces the one of AES-GCM.
    let rekeyedEncryption: String
    let rekeyedProof: String

    static let all = [
        DerivedKeys(
            function: .hmacSHA256, integrity: .hmacSHA256_128,
            cbcEncryption:
                "938632924d57d232e4eec175ac4c8003c42efa2a275ed3c76bfdd9b284260795",
            cbcProof:
                "028182fd352c57dfcc28e51260bfa50e923c0224aac86478eafa3eda5010105d",
            initiatorEncryption:
                "9c9b7610ce4a7a0dd301ad7e2d3dd349d76dda0233793b121f62c3a57585a0a2d35b4766",
            responderEncryption:
                "651e682770389e533c82522639c5c35fd5c665cfae18d0fe774cabd5938632924d57d232",
            proof:
                "e4eec175ac4c8003c42efa2a275ed3c76bfdd9b284260795cfcb9a9f97859f4a",
            initiatorIntegrity:
                "9c9b7610ce4a7a0dd301ad7e2d3dd349d76dda0233793b121f62c3a57585a0a2",
            responderIntegrity:
                "d35b4766651e682770389e533c82522639c5c35fd5c665cfae18d0fe774cabd5",
            child:
                "f8dbf251b031ebcda17fd4ed543ee0f1c478806bbc4b1117d04baa1cba23fa05285212dcb6737078a97fbbb08cd05d68"
                + "77c602857b0aa412f6578aa1baaff831636bc4a66981f8f7",
            childWithExchange:
                "36a4790a0b6d8079ef93c022f1e723a4c5cf56e0a182bba12f910ceb6dbfd376b8dc51ab4d5690aef00a0d5309a09d2b"
                + "65f166706bd231f3250304c835eb6d9f2d23bede9f97117c",
            rekeyedEncryption:
                "f37efe5dc815aa1a7c6b4ae67c77731e225d20afbe0effcd9c72c148937876fb2bf6067c",
            rekeyedProof:
                "dc47ca0fbe3177686947ba3895bf85fdee2ec341e1efcb89cf6b16205183abd5"),
        DerivedKeys(
            function: .hmacSHA384, integrity: .hmacSHA384_192,
            cbcEncryption:
                "103b3c4ae4a9667645c0ef2f0ee6ecbfb3eb56bb2a48680c1a02cf043b1a83de",
            cbcProof:
                "5900bdf95bc18aa32f89de2a1ec0acd0aa4766237eef1c905ff3cf2418c4d3634cf62b620628442224817007d243e300",
            initiatorEncryption:
                "13d2598a71164eb12c6e4ec0972143c894630ee5d042b7cbc1b904e614d0f8dc9f766953",
            responderEncryption:
                "9cafb75b5cfb9434517a1cb2e82bdb3923b07934778ec23b7e03c77e4ce6380c3e562b63",
            proof:
                "37204e41f8a5583ae97fe0e4d4ffc2a88efc413f66b6f879103b3c4ae4a9667645c0ef2f0ee6ecbfb3eb56bb2a48680c",
            initiatorIntegrity:
                "13d2598a71164eb12c6e4ec0972143c894630ee5d042b7cbc1b904e614d0f8dc9f7669539cafb75b5cfb9434517a1cb2",
            responderIntegrity:
                "e82bdb3923b07934778ec23b7e03c77e4ce6380c3e562b6337204e41f8a5583ae97fe0e4d4ffc2a88efc413f66b6f879",
            child:
                "39638c183ed9afbfccd70c60b9cf1574995e8fcd8484819e87c50b37af636516ec91630ccc91f081e06411127679c5fd"
                + "81dd252b8e5340087d36dfaaa0bdc32bcd066a663ef29b8c",
            childWithExchange:
                "cdaaa769e0fea7124c068c13010a2448e8b69a25ad660dc57566506470eda05d579828fdd94c51113bd0ca0bb39169f4"
                + "ee71d936592b25091f1003c91d7352391593c009b8422f2f",
            rekeyedEncryption:
                "2bf8765e7de2fc37503d16dd2b5ea7a91c9afd824f66f9ae4b39266d6388a897af0dfc81",
            rekeyedProof:
                "6a86f68c44e25df61d250488f802636ebff6a54943ea128973fc922fb344f798bcdec5f2c96c2b7e7fa2d68518c634ae"),
        DerivedKeys(
            function: .hmacSHA512, integrity: .hmacSHA512_256,
            cbcEncryption:
                "cc1890e770b7ade91b10a24c6c7b9123eead68b51c081b406d036633822db051",
            cbcProof:
                "f0224b2d9fb1069cafd9bdbf336d6a610d52808c9e33e0ad654b90e0347194ee463d442f9d76b15e2cab9e73bbe3e7e3"
                + "c708691dd2a280c3ba81fd2c11565b1e",
            initiatorEncryption:
                "b98c185e19df89f767a5f3ecd005517777323bc95f4f2466b3ebcf0541550b0ddebf1007",
            responderEncryption:
                "eb7fb8c90f18aa5a2195e44841d67092a68db6b8de0e286a2cd19cf1dd382ade47e237af",
            proof:
                "deb4a16c225eb5dbf3747eac079e88be7d283267bf09ae0c4f03f65628e6437231c47d9a292d978d8164047cea560896"
                + "c7d4c9fb74fabc5ccc1890e770b7ade9",
            initiatorIntegrity:
                "b98c185e19df89f767a5f3ecd005517777323bc95f4f2466b3ebcf0541550b0ddebf1007eb7fb8c90f18aa5a2195e448"
                + "41d67092a68db6b8de0e286a2cd19cf1",
            responderIntegrity:
                "dd382ade47e237afdeb4a16c225eb5dbf3747eac079e88be7d283267bf09ae0c4f03f65628e6437231c47d9a292d978d"
                + "8164047cea560896c7d4c9fb74fabc5c",
            child:
                "d9bb85737b920ffa586db08c21cd4c04bbc2a418966eee340119b8519fe62ab9fc58de1c88ee0526a6ba5f82101547e7"
                + "4226a4a1aabad7815b96452167b3ea46724ebf997087d8a9",
            childWithExchange:
                "e83f3e1dfcbd45a2c39bd36f9f65662823b674e524223f23c3d5b89d6c5d2fa38ec0ba8cfe1428ade7850666d4d63512"
                + "4479894f972a553f6ee27a106e10a4a99e63c7f8d4a5d471",
            rekeyedEncryption:
                "54e88f7fed65476026107aa4586476ebd837cdebec60b11ce6dfa0bb97cdbd77d9e25bb3",
            rekeyedProof:
                "90b1be3d7372792af3eddbd01a3ba9051978afb2c4f46d55a5cc7bb6dec510100aa92e2333b9f4a91cb355911268d37a"
                + "05abdc2df8a0ac8704440d1426cb3dce"),
    ]
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
