import Cryptography

/// A word of a proposal in strongSwan's notation.
enum ProposalKeyword {
    /// One integrity algorithm, for whoever can use it.
    struct Integrity {
        let name: String
        let esp: ESPIntegrity
        let ike: IKECipherSuite.Integrity?
        let function: PRF?
    }

    /// The kind of algorithm that a word is one of.
    enum Kind {
        case encryption, integrity, function, keyExchange
        /// One more key exchange in the same exchange (RFC 9370).
        case additionalKeyExchange
        case sequenceNumbers
    }

    /// A word that strongSwan knows, and that is not served.
    struct Unserved {
        let word: String
        let kind: Kind
        /// Behind the word: "is not supported".
        let reason: String
        /// The nearest word that is served; nil: it is to be left out.
        let better: String?
    }

    case encryption(ESPEncryption)
    case integrity(Integrity)
    case function(PRF)
    case keyExchange(KeyExchangeMethod)
    /// `none`, `modpnone`: a CHILD_SA without a key exchange of its own is fine too.
    case noKeyExchange
    case extendedSequenceNumbers(Bool)
    case unserved(Unserved)

    /// The keyword of a word; nil: nobody knows it.
    init?(_ word: String, _ rules: ProposalRules) {
        if let encryption = Self.encryptions[word] {
            self = .encryption(encryption)
        } else if let integrity = Self.integrities[word] {
            self = .integrity(integrity)
        } else if let function = PRF(name: word) {
            self = .function(function)
        } else if let method = KeyExchangeMethod(name: word) {
            guard method.isWeak, !rules.allowsWeakGroups else {
                self = .keyExchange(method)
                return
            }
            self = .unserved(
                Unserved(
                    word: word, kind: .keyExchange, reason: "is too weak (RFC 8247 section 2.4)", better: "modp2048"))
        } else if word == "none" || word == "modpnone" {
            self = .noKeyExchange
        } else if word == "esn" || word == "noesn" {
            self = .extendedSequenceNumbers(word == "esn")
        } else if let unserved = Self.unserved(word) {
            self = .unserved(unserved)
        } else {
            return nil
        }
    }

    // MARK: Served

    /// Lengths of the ICV may be in bytes or in bits; "aes" alone has 128 bits.
    private static let encryptions: [String: ESPEncryption] = {
        var names: [String: ESPEncryption] = [
            "chacha20poly1305": .chaCha20Poly1305, "null": .null,
        ]
        for (prefix, bits) in [("aes", 128), ("aes128", 128), ("aes192", 192), ("aes256", 256)] {
            names[prefix] = .aesCBC(keyBits: bits)
            names[prefix + "ctr"] = .aesCTR(keyBits: bits)
            names[prefix + "gmac"] = .aesGMAC(keyBits: bits)
            names[prefix + "gcm"] = .aesGCM(keyBits: bits, icvBytes: 16)
            for bytes in [8, 12, 16] {
                names[prefix + "gcm\(bytes)"] = .aesGCM(keyBits: bits, icvBytes: bytes)
                names[prefix + "gcm\(8 * bytes)"] = .aesGCM(keyBits: bits, icvBytes: bytes)
            }
        }
        return names
    }()

    private static let integrities: [String: Integrity] = {
        let sha1 = Integrity(name: "sha1", esp: .hmacSHA1_96, ike: .hmacSHA1_96, function: .hmacSHA1)
        let sha256 = Integrity(name: "sha256", esp: .hmacSHA256_128, ike: .hmacSHA256_128, function: .hmacSHA256)
        let sha384 = Integrity(name: "sha384", esp: .hmacSHA384_192, ike: .hmacSHA384_192, function: .hmacSHA384)
        let sha512 = Integrity(name: "sha512", esp: .hmacSHA512_256, ike: .hmacSHA512_256, function: .hmacSHA512)
        return [
            "sha1": sha1, "sha": sha1, "sha256": sha256, "sha2_256": sha256, "sha384": sha384, "sha2_384": sha384,
            "sha512": sha512, "sha2_512": sha512,
        ]
    }()

    /// The nearest word to one that nobody knows; nil: nothing is near.
    static func nearest(to word: String) -> String? { Spelling.nearest(to: word, among: known) }

    private static let known: [String] =
        encryptions.keys.sorted() + integrities.keys.sorted() + PRF.allCases.map(\.name)
        + KeyExchangeMethod.allCases.filter { !$0.isWeak }.map(\.name)
        + ["curve25519", "curve448", "none", "modpnone", "esn", "noesn"]

    // MARK: Not served

    /// Families of words, by how they begin; the first that fits counts.
    private static let unservedFamilies: [(prefix: String, kind: Kind, better: String)] = [
        ("3des", .encryption, "aes256"), ("des", .encryption, "aes256"), ("cast", .encryption, "aes256"),
        ("blowfish", .encryption, "aes256"), ("twofish", .encryption, "aes256"), ("serpent", .encryption, "aes256"),
        ("camellia", .encryption, "aes256"), ("sm4", .encryption, "aes256"), ("sm1", .encryption, "aes256"),
        ("aesxcbc", .integrity, "sha256"), ("aescmac", .integrity, "sha256"), ("md5", .integrity, "sha256"),
        ("sha1_160", .integrity, "sha256"), ("sha256_96", .integrity, "sha256"), ("sha2_256_96", .integrity, "sha256"),
        ("sm3", .integrity, "sha256"), ("prfmd5", .function, "prfsha256"), ("prfaes", .function, "prfsha256"),
        ("prfcamellia", .function, "prfsha256"), ("prfsm3", .function, "prfsha256"),
        ("modp768", .keyExchange, "modp2048"), ("modp1024s160", .keyExchange, "modp2048"),
        ("modp2048s", .keyExchange, "modp2048"), ("modp6144", .keyExchange, "modp4096"),
        ("modp8192", .keyExchange, "modp4096"), ("ecp192", .keyExchange, "ecp256"), ("ecp224", .keyExchange, "ecp256"),
        ("ecp384bp", .keyExchange, "ecp384"), ("ecp512bp", .keyExchange, "ecp521"), ("sm2", .keyExchange, "x25519"),
        ("mlkem", .keyExchange, "x25519"), ("kyber", .keyExchange, "x25519"), ("ntru", .keyExchange, "x25519"),
        ("newhope", .keyExchange, "x25519"),
    ]

    private static let weak = ["3des", "des", "cast", "blowfish", "md5", "prfmd5", "modp768", "modp1024s160"]

    private static func unserved(_ word: String) -> Unserved? {
        if let bits = [128, 192, 256].first(where: { word.hasPrefix("aes\($0)ccm") })
            ?? (word.hasPrefix("aesccm") ? 128 : nil)
        {
            return Unserved(word: word, kind: .encryption, reason: "is not supported", better: "aes\(bits)gcm16")
        }
        if word.count > 4, word.hasPrefix("ke"), let number = word.dropFirst(2).first, "1234567".contains(number),
            word.dropFirst(3).first == "_"
        {
            return Unserved(
                word: word, kind: .additionalKeyExchange, reason: "(one more key exchange) is not supported",
                better: nil)
        }
        guard let family = unservedFamilies.first(where: { word.hasPrefix($0.prefix) }) else { return nil }
        let isWeak = weak.contains { word.hasPrefix($0) }
        return Unserved(
            word: word, kind: family.kind, reason: isWeak ? "is too weak (RFC 8247)" : "is not supported",
            better: family.better)
    }
}
