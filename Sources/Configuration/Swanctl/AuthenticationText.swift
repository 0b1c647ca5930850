import Cryptography
import IKEv2
import Packets

/// Reads `auth` of a `local` or `remote` section: `psk`, `pubkey`, `ecdsa-384-sha384`, `rsa-3072-ike:rsa/pss-sha256`.
///
/// It names kinds of keys. A number behind a kind is the least bits of such keys, everywhere in the peer's trust chain; a
/// chain may then have keys of these kinds only. Hashes behind a kind are those of the signatures in the chain and of the
/// one of IKE_AUTH; with kinds that begin with `ike:`, those are about IKE_AUTH and the others about the chain. Without
/// hashes it is all of them in IKE_AUTH, and as long as no kind has some, the chain is free too.
enum AuthenticationText {
    struct Result: Equatable {
        var kind: AuthenticationKind
        /// The demands on the peer's trust chain.
        var chain: ChainConstraints?
    }

    /// - Parameter isLocal: of a `local` section.
    static func parse(_ text: String, isLocal: Bool) throws(Problem) -> Result {
        let text = text.lowercased()
        if text == "psk" { return Result(kind: .preSharedKey) }
        try refuseOthers(text)
        let parts = try parts(text)
        let (ofSignature, ofChain) = (parts.filter(\.isSignature), parts.filter { !$0.isSignature })
        try checkCombination(ofSignature)
        try checkCombination(ofChain)
        if isLocal { try checkLocal(parts, ofSignature: ofSignature, ofChain: ofChain) }
        let deciding = ofSignature.isEmpty ? ofChain : ofSignature
        // `pubkey` alone leaves everything open.
        let isOpen = deciding.contains { $0.kind == .any && $0.hashes.isEmpty }
        let schemes = isOpen ? [] : union(deciding.map { $0.schemes(isLocal: isLocal) })
        return Result(
            kind: .publicKey(schemes: schemes), chain: isLocal ? nil : chain(parts, ofChain: ofChain, text: text))
    }

    private static func parts(_ text: String) throws(Problem) -> [AuthenticationPart] {
        var parts: [AuthenticationPart] = []
        for word in text.split(separator: "-", omittingEmptySubsequences: false) {
            if let part = AuthenticationPart(word) {
                parts.append(part)
            } else {
                let last = parts.count - 1
                guard last >= 0, try parts[last].take(word) else { throw problem(String(word), in: text) }
            }
        }
        return parts
    }

    private static func chain(
        _ parts: [AuthenticationPart], ofChain: [AuthenticationPart], text: String
    ) -> ChainConstraints? {
        let keys = parts.contains { $0.bits != nil } ? union([parts.compactMap(\.leastKey)]) : []
        let namesHashes = ofChain.contains { !$0.hashes.isEmpty }
        let schemes = namesHashes ? union(ofChain.map { $0.schemes(isLocal: false) }) : []
        guard !keys.isEmpty || !schemes.isEmpty else { return nil }
        // Certificates have ECDSA signatures as DER only.
        return ChainConstraints(
            keys: keys,
            schemes: schemes.filter { if case .ecdsaConcatenated = $0 { false } else { true } }, text: text)
    }

    private static func union<Item: Hashable>(_ lists: [[Item]]) -> [Item] {
        var known: Set<Item> = []
        return lists.joined().filter { known.insert($0).inserted }
    }

    // MARK: Problems

    /// Parts about the same thing must not contradict each other.
    private static func checkCombination(_ parts: [AuthenticationPart]) throws(Problem) {
        if parts.count > 1, parts.contains(where: { $0.kind == .any }) {
            throw Problem(
                "'pubkey' is every kind of key, and others are named beside it",
                remedy: "leave out pubkey, or the others")
        }
        for (index, part) in parts.enumerated() where parts[..<index].contains(where: { $0.kind == part.kind }) {
            throw Problem(
                "'\(part.kind.rawValue)' is named twice",
                remedy: "write it once, with all its hashes, as in \(part.kind.rawValue)-sha384-sha512")
        }
    }

    /// We have no chain to verify of our own.
    private static func checkLocal(
        _ parts: [AuthenticationPart], ofSignature: [AuthenticationPart], ofChain: [AuthenticationPart]
    ) throws(Problem) {
        if parts.contains(where: \.isDemanding) {
            throw Problem(
                "a least strength can be asked of the peer only",
                remedy: "move it into the 'remote' section; our own is that of our key")
        }
        if !ofSignature.isEmpty, !ofChain.isEmpty {
            throw Problem(
                "a kind of key without 'ike:' is about the peer's certificates",
                remedy: "move it into the 'remote' section, or write ike: in front of each kind of key")
        }
    }

    private static func refuseOthers(_ text: String) throws(Problem) {
        let refused: [(prefix: String, reason: String, remedy: String)] = [
            ("eap", "EAP is not supported", "use auth = pubkey or auth = psk; EAP is for roaming users"),
            ("xauth", "XAuth belongs to IKEv1, which is not supported", "use auth = pubkey or auth = psk"),
            ("bliss", "BLISS signatures are not supported", "use auth = pubkey"),
            ("null", "authentication without a proof is not supported", "use auth = pubkey or auth = psk"),
        ]
        for (prefix, reason, remedy) in refused where text.hasPrefix(prefix) || text.hasPrefix("ike:" + prefix) {
            throw Problem(reason, remedy: remedy)
        }
    }

    private static func problem(_ word: String, in text: String) -> Problem {
        let near = Spelling.nearest(to: word, among: ["psk", "pubkey", "rsa", "ecdsa", "ed25519", "ed448"])
        return Problem(
            "unknown authentication method" + (word == text ? "" : " '\(word)'"),
            remedy: near.map { "did you mean '\($0)'?" }
                ?? "use psk, pubkey, rsa, ecdsa, ed25519 or ed448, with bits and hashes as in ecdsa-384-sha384")
    }
}

/// One kind of key in `auth`, with what is behind it: `ecdsa-384-sha384`.
struct AuthenticationPart {
    enum Kind: String {
        /// Any kind of key.
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
    /// The hashes that were named; none: all.
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
