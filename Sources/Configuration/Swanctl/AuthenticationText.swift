import Cryptography
import IKEv2

/// Reads `auth` of a `local` or `remote` section: `psk`, `pubkey`, `ecdsa-sha384`, `ike:rsa/pss-sha256`.
///
/// A constraint names kinds of keys, each with the hashes that it may go with (all, when none is named). Strengths are
/// accepted as far as they are held to anyway.
enum AuthenticationText {
    struct Result {
        var kind: AuthenticationKind
        /// Hashes were named without `ike:`, which strongSwan applies to the certificates of a chain too.
        var constrainsChain = false
    }

    private enum KeyKind {
        case any, rsa, pss, ecdsa, ed25519, ed448
    }

    private struct Part {
        let kind: KeyKind
        var hashes: [SignatureHash] = []
    }

    /// - Parameter isLocal: of a `local` section: then `rsa` is PKCS#1 v1.5, as many peers know nothing else.
    static func parse(_ text: String, isLocal: Bool) throws(WordProblem) -> Result {
        let text = text.lowercased()
        if text == "psk" { return Result(kind: .preSharedKey) }
        try refuseOthers(text)
        let isSignature = text.hasPrefix("ike:")
        var parts: [Part] = []
        for word in (isSignature ? text.dropFirst(4) : text[...]).split(separator: "-") {
            if let kind = kind(word) {
                parts.append(Part(kind: kind))
            } else if let hash = hash(word), !parts.isEmpty {
                parts[parts.count - 1].hashes.append(hash)
            } else if let bits = Int(word), let last = parts.last {
                try check(bits, last.kind)
            } else {
                throw problem(String(word), in: text)
            }
        }
        guard !parts.isEmpty else { throw problem(text, in: text) }
        var schemes: [SignatureScheme] = []
        // `pubkey` alone leaves everything open.
        let isOpen = parts.contains { $0.kind == .any && $0.hashes.isEmpty }
        for part in isOpen ? [] : parts {
            for scheme in self.schemes(part, isLocal: isLocal) where !schemes.contains(scheme) {
                schemes.append(scheme)
            }
        }
        return Result(
            kind: .publicKey(schemes: schemes), constrainsChain: !isSignature && parts.contains { !$0.hashes.isEmpty })
    }

    private static func refuseOthers(_ text: String) throws(WordProblem) {
        let refused: [(prefix: String, reason: String, remedy: String)] = [
            ("eap", "EAP is not supported", "use auth = pubkey or auth = psk; EAP is for roaming users"),
            ("xauth", "XAuth belongs to IKEv1, which is not supported", "use auth = pubkey or auth = psk"),
            ("bliss", "BLISS signatures are not supported", "use auth = pubkey"),
            ("null", "authentication without a proof is not supported", "use auth = pubkey or auth = psk"),
        ]
        for (prefix, reason, remedy) in refused where text.hasPrefix(prefix) || text.hasPrefix("ike:" + prefix) {
            throw WordProblem(reason: reason, remedy: remedy)
        }
    }

    private static func problem(_ word: String, in text: String) -> WordProblem {
        let near = Spelling.nearest(to: word, among: ["psk", "pubkey", "rsa", "ecdsa", "ed25519", "ed448"])
        return WordProblem(
            reason: (word == text ? "" : "'\(word)' ") + "is no way to authenticate that is known here",
            remedy: near.map { "did you mean '\($0)'?" }
                ?? "use psk, pubkey, rsa, ecdsa, ed25519 or ed448, with hashes as in ike:ecdsa-sha384")
    }

    private static func kind(_ word: Substring) -> KeyKind? {
        switch word {
        case "pubkey": .any
        case "rsa": .rsa
        case "rsa/pss": .pss
        case "ecdsa": .ecdsa
        case "ed25519": .ed25519
        case "ed448": .ed448
        default: nil
        }
    }

    private static func hash(_ word: Substring) -> SignatureHash? {
        switch word {
        case "sha256": .sha256
        case "sha384": .sha384
        case "sha512": .sha512
        case "identity": .identity
        default: nil
        }
    }

    /// Keys below 2048 bits of RSA or 256 bits of ECDSA are refused anyway; higher bounds are not checked.
    private static func check(_ bits: Int, _ kind: KeyKind) throws(WordProblem) {
        let least = kind == .rsa || kind == .pss ? 2048 : kind == .ecdsa ? 256 : 0
        guard bits > least else { return }
        throw WordProblem(
            reason: "a least strength of \(bits) bits is not supported",
            remedy: kind == .ecdsa
                ? "name the hashes instead, as in ike:ecdsa-sha384"
                : "leave the number out; less than 2048 bits is refused")
    }

    private static func schemes(_ part: Part, isLocal: Bool) -> [SignatureScheme] {
        let hashes = part.hashes.isEmpty ? [.sha256, .sha384, .sha512] : part.hashes.filter { $0 != .identity }
        let rsa = hashes.map { SignatureScheme.rsaPKCS1($0) }
        let pss = hashes.map { SignatureScheme.rsaPSS($0) }
        let ecdsa = hashes.flatMap { [SignatureScheme.ecdsa($0), .ecdsaConcatenated($0)] }
        switch part.kind {
        case .rsa: return isLocal ? rsa : rsa + pss
        case .pss: return pss
        case .ecdsa: return ecdsa
        case .ed25519: return [.ed25519]
        case .ed448: return [.ed448]
        case .any: return rsa + pss + ecdsa + (part.hashes.contains(.identity) ? [.ed25519, .ed448] : [])
        }
    }
}
