import Cryptography

/// The keywords of one proposal, sorted by kind and in the order of the text.
struct ProposalParts {
    /// One integrity algorithm, for whoever can use it.
    struct Integrity {
        let name: String
        let esp: ESPIntegrity
        let ike: IKECipherSuite.Integrity?
        let function: PRF?
    }

    let text: String
    private(set) var ikeEncryption: [IKECipherSuite.Encryption] = []
    private(set) var espEncryption: [ESPEncryption] = []
    private(set) var integrity: [Integrity] = []
    private(set) var functions: [PRF] = []
    private(set) var keyExchanges: [Cryptography.KeyExchangeMethod] = []
    private(set) var extended: [Bool] = []
    /// Keywords that an IKE SA cannot use.
    private(set) var espOnly: [String] = []

    init(_ text: String) throws(ProposalTextError) {
        self.text = text
        for word in text.split(separator: "-", omittingEmptySubsequences: false) {
            let keyword = String(word.trimmingSpaces).lowercased()
            if !take(keyword) { throw Self.unknown(keyword, in: text) }
        }
        if espEncryption.isEmpty {
            throw ProposalTextError("\"\(text)\" names no encryption", remedy: "begin with \"aes256gcm16\"")
        }
    }

    private mutating func take(_ keyword: String) -> Bool {
        if let encryption = Self.encryption[keyword] {
            espEncryption.append(encryption)
            if let ike = Self.ike(encryption) { ikeEncryption.append(ike) } else { espOnly.append(keyword) }
        } else if let found = Self.integrity[keyword] {
            integrity.append(found)
            if found.ike == nil { espOnly.append(keyword) }
        } else if let function = PRF(name: keyword) {
            functions.append(function)
        } else if let method = Cryptography.KeyExchangeMethod(name: keyword) {
            keyExchanges.append(method)
        } else if keyword == "esn" || keyword == "noesn" {
            extended.append(keyword == "esn")
            espOnly.append(keyword)
        } else {
            return false
        }
        return true
    }

    /// Whether all encryptions are combined modes. RFC 7296 section 3.3 wants two proposals for the two kinds.
    func isAEAD(encryption: [(name: String, isAEAD: Bool)]) throws(ProposalTextError) -> Bool {
        let combined = encryption.filter(\.isAEAD).map(\.name)
        let plain = encryption.filter { !$0.isAEAD }.map(\.name)
        if let first = combined.first, let second = plain.first {
            throw ProposalTextError(
                "\"\(text)\" mixes \(first), which authenticates by itself, with \(second), which does not",
                remedy: "write two proposals, separated by a comma")
        }
        if let first = plain.first, integrity.isEmpty {
            throw ProposalTextError(
                "\(first) in \"\(text)\" needs an integrity algorithm", remedy: "append \"-sha256\"")
        }
        return plain.isEmpty
    }

    func refuseIntegrity() throws(ProposalTextError) {
        guard let name = integrity.first?.name, let mode = espEncryption.first else { return }
        throw ProposalTextError(
            "\(mode) in \"\(text)\" authenticates by itself", remedy: "leave \"-\(name)\" out")
    }

    private static func unknown(_ keyword: String, in text: String) -> ProposalTextError {
        let weak = ["des", "3des", "md5", "modp768", "modp1024", "modp1536", "prfmd5", "prfsha1", "cast128"]
        let problem =
            weak.contains(keyword) || keyword.hasPrefix("blowfish")
            ? "\"\(keyword)\" in \"\(text)\" is too weak (RFC 8247)" : "\"\(keyword)\" in \"\(text)\" is not known"
        let known =
            "aes128gcm16, aes256gcm16, chacha20poly1305, aes128, aes256, sha256, sha384, sha512, prfsha256, "
            + "prfsha384, prfsha512, x25519, x448, ecp256, ecp384, ecp521, modp2048, modp3072, modp4096, esn, noesn"
        return ProposalTextError(problem, remedy: "use some of \(known)")
    }

    private static func ike(_ encryption: ESPEncryption) -> IKECipherSuite.Encryption? {
        switch encryption {
        case .aesCBC(let keyBits): .aesCBC(keyBits: keyBits)
        case .aesGCM(let keyBits, icvBytes: 16): .aesGCM16(keyBits: keyBits)
        case .chaCha20Poly1305: .chaCha20Poly1305
        default: nil
        }
    }

    /// Lengths of the ICV may be in bytes or in bits; "aes" alone has 128 bits.
    private static let encryption: [String: ESPEncryption] = {
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

    private static let integrity: [String: Integrity] = {
        let sha1 = Integrity(name: "sha1", esp: .hmacSHA1_96, ike: nil, function: nil)
        let sha256 = Integrity(name: "sha256", esp: .hmacSHA256_128, ike: .hmacSHA256_128, function: .hmacSHA256)
        let sha384 = Integrity(name: "sha384", esp: .hmacSHA384_192, ike: .hmacSHA384_192, function: .hmacSHA384)
        let sha512 = Integrity(name: "sha512", esp: .hmacSHA512_256, ike: .hmacSHA512_256, function: .hmacSHA512)
        return [
            "sha1": sha1, "sha": sha1, "sha256": sha256, "sha2_256": sha256, "sha384": sha384, "sha2_384": sha384,
            "sha512": sha512, "sha2_512": sha512,
        ]
    }()
}
