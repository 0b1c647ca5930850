import Cryptography
import Packets

/// The reason why a proposal cannot be used.
struct ProposalFault: Error {
    let problem: Problem
    /// Whether nothing is misspelt: strongSwan would read it, but nobody here can do it.
    let isUnserved: Bool

    init(_ what: String, remedy: String, isUnserved: Bool = false) {
        problem = Problem(what, remedy: remedy)
        self.isUnserved = isUnserved
    }
}

/// The keywords of one proposal, sorted by kind and in the order of the text.
struct ProposalParts {
    let text: String
    private(set) var encryption: [ESPEncryption] = []
    private(set) var integrity: [ProposalKeyword.Integrity] = []
    private(set) var functions: [PRF] = []
    private(set) var keyExchanges: [KeyExchangeMethod] = []
    /// The number of key exchanges before `none`; nil: it is not there.
    private(set) var noKeyExchangeIndex: Int?
    private(set) var extended: [Bool] = []
    /// Known to strongSwan, and not served.
    private(set) var unserved: [ProposalKeyword.Unserved] = []
    /// Remarks about words that are left out without harm.
    private(set) var notes: [Problem] = []

    /// Throws all words at once that nobody knows, with those that are not served.
    init(_ text: String, _ rules: ProposalRules) throws(ProposalFault) {
        self.text = text
        var unknown: [String] = []
        for word in text.split(separator: "-", omittingEmptySubsequences: false) {
            let keyword = String(word.trimmingSpaces).lowercased()
            switch ProposalKeyword(keyword, rules) {
            case .encryption(let found): encryption.append(found)
            case .integrity(let found): integrity.append(found)
            case .function(let found): functions.append(found)
            case .keyExchange(let found): keyExchanges.append(found)
            case .noKeyExchange: noKeyExchangeIndex = keyExchanges.count
            case .extendedSequenceNumbers(let found): extended.append(found)
            case .unserved(let found): unserved.append(found)
            case nil: unknown.append(keyword)
            }
        }
        // A key exchange that may be left out is no loss.
        unserved.removeAll { $0.kind == .additionalKeyExchange && $0.word.hasSuffix("_none") }
        if !unknown.isEmpty { throw Self.error(unknown: unknown, unserved) }
        for method in keyExchanges where method.isWeak {
            notes.append(
                Problem(
                    "\(method) is weak (RFC 8247 section 2.4)",
                    remedy: "use modp2048, ecp256 or x25519 as soon as the peer can"))
        }
    }

    /// Takes words out that an IKE SA cannot use.
    mutating func restrictToIKE() -> [IKECipherSuite.Encryption] {
        var fitting: [IKECipherSuite.Encryption] = []
        for found in encryption {
            if let ike = Self.ike(found) {
                fitting.append(ike)
            } else {
                unserved.append(
                    .init(word: "\(found)", kind: .encryption, reason: "is for ESP only", better: Self.near(found)))
            }
        }
        for isExtended in extended {
            leaveOut(isExtended ? "esn" : "noesn", "an IKE SA has no extended sequence numbers")
        }
        if noKeyExchangeIndex != nil { leaveOut("none", "an IKE SA always has a key exchange") }
        return fitting
    }

    /// A word of the text that changes nothing.
    mutating func leaveOut(_ word: String, _ reason: String) {
        notes.append(Problem("\"\(word)\" has no effect here: \(reason)", remedy: "leave \"-\(word)\" out"))
    }

    /// Leaves words out that are not served, where others of their kind are there; throws all of those that are missed.
    /// - Parameter present: kinds of which something else is named.
    mutating func resolveUnserved(present: Set<ProposalKeyword.Kind>) throws(ProposalFault) {
        let missed = unserved.filter { !present.contains($0.kind) }
        if !missed.isEmpty { throw Self.error(unknown: [], unserved) }
        for word in unserved {
            notes.append(
                Problem(
                    "\"\(word.word)\" \(word.reason), and is left out", remedy: Self.remedy(for: [word])))
        }
    }

    /// Whether all encryptions are combined modes. RFC 7296 section 3.3 wants two proposals for the two kinds.
    func isAEAD(encryption: [(name: String, isAEAD: Bool)]) throws(ProposalFault) -> Bool {
        let combined = encryption.filter(\.isAEAD).map(\.name)
        let plain = encryption.filter { !$0.isAEAD }.map(\.name)
        if let first = combined.first, let second = plain.first {
            throw ProposalFault(
                "\"\(text)\" mixes \(first), which authenticates by itself, with \(second), which does not",
                remedy: "write two proposals, separated by a comma")
        }
        if encryption.isEmpty {
            throw ProposalFault("no encryption in \"\(text)\"", remedy: "begin with \"aes256gcm16\"")
        }
        if let first = plain.first, integrity.isEmpty {
            throw ProposalFault(
                "\(first) in \"\(text)\" needs an integrity algorithm", remedy: "append \"-sha256\"")
        }
        return plain.isEmpty
    }

    /// A combined mode needs no integrity algorithm: strongSwan drops it, and so do we.
    mutating func leaveOutIntegrity() {
        guard let mode = encryption.first else { return }
        for found in integrity { leaveOut(found.name, "\(mode) authenticates by itself") }
        integrity = []
    }

    // MARK: Errors

    private static func error(
        unknown: [String], _ unserved: [ProposalKeyword.Unserved]
    ) -> ProposalFault {
        let problems = unknown.map { "unknown algorithm \"\($0)\"" } + unserved.map { "\"\($0.word)\" \($0.reason)" }
        let near = unknown.compactMap { word in ProposalKeyword.nearest(to: word).map { (word, $0) } }
        var remedies = near.map { "did you mean \"\($0.1)\" for \"\($0.0)\"?" }
        if !unserved.isEmpty { remedies.append(remedy(for: unserved)) }
        if remedies.isEmpty {
            remedies.append("write it like aes256gcm16-prfsha384-ecp384, or aes256-sha256-modp2048")
        }
        return ProposalFault(
            problems.joined(separator: ", "), remedy: remedies.joined(separator: "; "), isUnserved: unknown.isEmpty)
    }

    /// The nearest good word for each.
    private static func remedy(for words: [ProposalKeyword.Unserved]) -> String {
        let better = words.compactMap { word in word.better.map { "\"\($0)\" for \"\(word.word)\"" } }
        let rest = words.filter { $0.better == nil }.map { "leave \"-\($0.word)\" out" }
        let write = better.isEmpty ? [] : ["write " + better.joined(separator: ", ")]
        var text = (write + rest).joined(separator: ", ") + ", here and at the peer"
        if words.contains(where: { KeyExchangeMethod(name: $0.word)?.isWeak == true }) {
            text += ", or start with --allow-weak if the peer has nothing better than modp1024 or modp1536"
        }
        return text
    }

    // MARK: What IKE can use

    private static func ike(_ encryption: ESPEncryption) -> IKECipherSuite.Encryption? {
        switch encryption {
        case .aesCBC(let keyBits): .aesCBC(keyBits: keyBits)
        case .aesGCM(let keyBits, icvBytes: 16): .aesGCM16(keyBits: keyBits)
        case .chaCha20Poly1305: .chaCha20Poly1305
        default: nil
        }
    }

    private static func near(_ encryption: ESPEncryption) -> String {
        switch encryption {
        case .aesCTR(let keyBits), .aesCBC(let keyBits): "aes\(keyBits)"
        case .aesGCM(let keyBits, _), .aesGMAC(let keyBits): "aes\(keyBits)gcm16"
        case .chaCha20Poly1305, .null: "aes256gcm16"
        }
    }
}
