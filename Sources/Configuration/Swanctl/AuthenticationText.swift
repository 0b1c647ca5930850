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
        /// What it says about the peer's trust chain.
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
