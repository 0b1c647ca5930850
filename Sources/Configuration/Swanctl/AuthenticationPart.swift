import Cryptography
import IKEv2
import Packets

/// One kind of key in `auth`, with what is behind it: `ecdsa-384-sha384`.
struct AuthenticationPart {
    enum Kind: String {
        /// Whatever the key is.
        case any = "pubkey"
        case rsa
        case pss = "rsa/pss"
        case ecdsa, ed25519, ed448
    }

    let kind: Kind
    /// Behind `ike:`: about the signature of IKE_AUTH alone.
    let isSignature: Bool
    /// The least size of a key.
    private(set) var bits: Int?
    /// Those that were named; none: all.
    private(set) var hashes: [SignatureHash] = []

    /// Begins with a word; nil when that is no kind of key.
    init?(_ word: Substring) {
        isSignature = word.hasPrefix("ike:")
        guard let kind = Kind(rawValue: String(isSignature ? word.dropFirst(4) : word)) else { return nil }
        self.kind = kind
    }

    /// Takes the word behind it; false when that is neither a hash nor a number.
    mutating func take(_ word: Substring) throws(Problem) -> Bool {
        if !word.isEmpty, word.allSatisfy(\.isNumber) {
            try demand(word)
        } else if let hash = Self.hash(word) {
            try add(hash, word)
        } else {
            return false
        }
        return true
    }

    private static func hash(_ word: Substring) -> SignatureHash? {
        switch word {
        case "sha1": .sha1
        case "sha256": .sha256
        case "sha384": .sha384
        case "sha512": .sha512
        case "identity": .identity
        default: nil
        }
    }

    private mutating func add(_ hash: SignatureHash, _ word: Substring) throws(Problem) {
        // Authentication method 1 of old peers (RFC 7296 section 3.8); certificates with SHA-1 are refused anyway.
        if hash == .sha1, kind != .rsa || !isSignature {
            throw Problem(
                "SHA-1 is broken, and accepted only of RSA in IKE_AUTH",
                remedy: "leave 'sha1' out, or write ike:rsa-sha1 for a peer that has nothing better")
        }
        switch kind {
        case .rsa, .pss, .ecdsa:
            if hash == .identity {
                throw Problem(
                    "'identity' is the hash of Ed25519 and Ed448, not of \(kind.rawValue)",
                    remedy: "write sha256, sha384 or sha512 after \(kind.rawValue)")
            }
        case .ed25519, .ed448:
            if hash != .identity {
                throw Problem("\(kind.rawValue) hashes by itself", remedy: "leave '\(word)' out")
            }
        case .any: break
        }
        hashes.append(hash)
    }

    /// Keys below 2048 bits of RSA or 256 bits of ECDSA are refused anyway.
    private mutating func demand(_ word: Substring) throws(Problem) {
        let most: Int
        switch kind {
        case .rsa, .pss: most = 16_384
        case .ecdsa: most = 521
        case .ed25519, .ed448:
            throw Problem("all \(kind.rawValue) keys have the same strength", remedy: "leave '\(word)' out")
        case .any:
            throw Problem(
                "'pubkey' has no strength of its own",
                remedy: "name the kinds of keys, each with its least bits, as in rsa-3072-ecdsa-256")
        }
        guard bits == nil, hashes.isEmpty else {
            throw Problem(
                "'\(word)' does not follow its kind of key",
                remedy: "write one number for it, as in \(kind.rawValue)-\(word)-sha384")
        }
        guard let bits = Int(word), 1...most ~= bits else {
            throw Problem(
                "invalid least size '\(word)' of \(kind.rawValue) keys", remedy: "use 1 to \(most) bits"
            )
        }
        self.bits = bits
    }
}

// MARK: - What it means

extension AuthenticationPart {
    /// - Parameter isLocal: then `rsa` is PKCS#1 v1.5, as many peers know nothing else.
    func schemes(isLocal: Bool) -> [SignatureScheme] {
        let hashes = hashes.isEmpty ? [.sha256, .sha384, .sha512] : hashes.filter { $0 != .identity }
        let rsa = hashes.map { SignatureScheme.rsaPKCS1($0) }
        let pss = hashes.filter { $0 != .sha1 }.map { SignatureScheme.rsaPSS($0) }
        let ecdsa = hashes.flatMap { [SignatureScheme.ecdsa($0), .ecdsaConcatenated($0)] }
        switch kind {
        case .rsa: return isLocal ? rsa : rsa + pss
        case .pss: return pss
        case .ecdsa: return ecdsa
        case .ed25519: return [.ed25519]
        case .ed448: return [.ed448]
        case .any: return rsa + pss + ecdsa + (self.hashes.contains(.identity) ? [.ed25519, .ed448] : [])
        }
    }

    /// The least key of this kind; nil for any kind.
    var leastKey: SignatureKeyType? {
        switch kind {
        case .any: nil
        case .rsa, .pss: .rsa(bits: bits ?? 0)
        case .ecdsa: .ecdsa(bits: bits ?? 0)
        case .ed25519: .ed25519
        case .ed448: .ed448
        }
    }

    /// More than what is asked of every key.
    var isDemanding: Bool { bits.map { $0 > (kind == .ecdsa ? 256 : 2048) } ?? false }
}
