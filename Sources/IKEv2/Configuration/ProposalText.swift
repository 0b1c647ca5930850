import Cryptography
import Packets

/// The limits of what proposals may name.
package struct ProposalRules: Hashable, Sendable {
    /// `--allow-weak`: MODP-1024 and MODP-1536 too, which RFC 8247 section 2.4 advises against.
    package var allowsWeakGroups = false

    package init(allowsWeakGroups: Bool = false) { self.allowsWeakGroups = allowsWeakGroups }
}

/// The proposals of a list, with remarks.
package struct ProposalReading<Proposal: Hashable & Sendable>: Sendable {
    /// A remark about one item of the list, or why it is left out.
    package struct Remark: Sendable {
        package var item: String
        package var problem: Problem
    }

    /// The proposals in the order of the list, each once.
    package internal(set) var proposals: [Proposal] = []
    /// Remarks about what is served otherwise than it is written, or left out because others of the list will do.
    package internal(set) var warnings: [Remark] = []
    /// Items for which there is no stand-in.
    package internal(set) var errors: [Remark] = []

    /// - Parameter read: one item that is not `default`, with remarks about what of it is left out.
    init(
        _ items: [String], default standard: [Proposal],
        _ read: (String) throws(ProposalFault) -> (proposal: Proposal, notes: [Problem])
    ) {
        var unserved: [Remark] = []
        for item in items {
            var next = standard
            if item.lowercased() != "default" {
                do throws(ProposalFault) {
                    let result = try read(item)
                    next = [result.proposal]
                    warnings += result.notes.map { Remark(item: item, problem: $0) }
                } catch {
                    let remark = Remark(item: item, problem: error.problem)
                    if error.isUnserved { unserved.append(remark) } else { errors.append(remark) }
                    continue
                }
            }
            proposals += next.filter { !proposals.contains($0) }
        }
        // What nobody here can do is no loss where the list has something else.
        if proposals.isEmpty {
            errors += unserved
        } else {
            warnings += unserved.map { remark in
                var remark = remark
                remark.problem.what += ", and this proposal is left out"
                return remark
            }
        }
    }
}

extension IKEProposal {
    /// Reads strongSwan's notation, "aes256gcm16-prfsha384-ecp384". Several algorithms of one kind are alternatives.
    /// Without a PRF the one of the integrity algorithm is meant, with "aes256gcm16-sha384-ecp384" too.
    package init(parsing text: String, rules: ProposalRules = ProposalRules()) throws(Problem) {
        do throws(ProposalFault) {
            self = try Self.read(text, rules).proposal
        } catch {
            throw error.problem
        }
    }

    /// Reads a list as swanctl.conf has it, "aes128gcm16-prfsha256-x25519, default"; throws the first error.
    package static func list(parsing text: String) throws(Problem) -> [IKEProposal] {
        try proposals(text, reading(text.proposalItems))
    }

    /// Reads the items of a list.
    package static func reading(
        _ items: [String], rules: ProposalRules = ProposalRules()
    ) -> ProposalReading<IKEProposal> {
        ProposalReading(items, default: Self.default) { text throws(ProposalFault) in try read(text, rules) }
    }

    private static func read(
        _ text: String, _ rules: ProposalRules
    ) throws(ProposalFault) -> (proposal: IKEProposal, notes: [Problem]) {
        var parts = try ProposalParts(text, rules)
        let encryption = parts.restrictToIKE()
        var present: Set<ProposalKeyword.Kind> = []
        if !encryption.isEmpty { present.insert(.encryption) }
        if !parts.integrity.isEmpty || encryption.allSatisfy(\.isAEAD) { present.insert(.integrity) }
        if !parts.integrity.isEmpty || !parts.functions.isEmpty { present.insert(.function) }
        if !parts.keyExchanges.isEmpty { present.insert(.keyExchange) }
        try parts.resolveUnserved(present: present)
        let isAEAD = try parts.isAEAD(encryption: encryption.map { ($0.name, $0.isAEAD) })
        let derived = parts.integrity.compactMap(\.function)
        let functions = parts.functions.isEmpty ? derived : parts.functions
        if functions.isEmpty {
            throw ProposalFault("no PRF in \"\(text)\"", remedy: "append \"-prfsha256\"")
        }
        if isAEAD, !parts.functions.isEmpty { parts.leaveOutIntegrity() }
        if parts.keyExchanges.isEmpty {
            throw ProposalFault("no key exchange in \"\(text)\"", remedy: "append \"-x25519\" or \"-ecp256\"")
        }
        let proposal = IKEProposal(
            encryption: encryption, integrity: isAEAD ? [] : parts.integrity.compactMap(\.ike), functions: functions,
            keyExchanges: parts.keyExchanges)
        let usesSHA1 = proposal.integrity.contains(.hmacSHA1_96) || functions.contains(.hmacSHA1)
        let notes = parts.notes + (usesSHA1 ? [legacySHA1] : [])
        return (proposal, notes)
    }

    private static let legacySHA1 = Problem(
        "SHA-1 for IKE is on its way out (RFC 8247: MUST-)", remedy: "use sha256 as soon as the peer can")
}

extension ChildProposal {
    /// Reads strongSwan's notation, "aes128gcm16-x25519-esn-noesn". Without "esn" sequence numbers are not extended; with
    /// "none" the key exchange is optional.
    package init(parsing text: String, rules: ProposalRules = ProposalRules()) throws(Problem) {
        do throws(ProposalFault) {
            self = try Self.read(text, rules).proposal
        } catch {
            throw error.problem
        }
    }

    /// Reads a list as swanctl.conf has it, "aes128gcm16, default"; throws the first error.
    package static func list(parsing text: String) throws(Problem) -> [ChildProposal] {
        try proposals(text, reading(text.proposalItems))
    }

    /// Reads the items of a list.
    package static func reading(
        _ items: [String], rules: ProposalRules = ProposalRules()
    ) -> ProposalReading<ChildProposal> {
        ProposalReading(items, default: Self.default) { text throws(ProposalFault) in try read(text, rules) }
    }

    private static func read(
        _ text: String, _ rules: ProposalRules
    ) throws(ProposalFault) -> (proposal: ChildProposal, notes: [Problem]) {
        var parts = try ProposalParts(text, rules)
        for function in parts.functions { parts.leaveOut(function.name, "ESP has no PRF") }
        // A PRF is not used whatever it is.
        var present: Set<ProposalKeyword.Kind> = [.function]
        if !parts.encryption.isEmpty { present.insert(.encryption) }
        if !parts.integrity.isEmpty || parts.encryption.allSatisfy(\.isAEAD) { present.insert(.integrity) }
        if !parts.keyExchanges.isEmpty || parts.noKeyExchangeIndex != nil { present.insert(.keyExchange) }
        try parts.resolveUnserved(present: present)
        let isAEAD = try parts.isAEAD(encryption: parts.encryption.map { ("\($0)", $0.isAEAD) })
        if isAEAD { parts.leaveOutIntegrity() }
        let proposal = ChildProposal(
            encryption: parts.encryption, integrity: parts.integrity.map(\.esp), keyExchanges: parts.keyExchanges,
            keyExchangeNeed: parts.noKeyExchangeIndex.map { $0 == 0 ? .accepted : .preferred } ?? .required,
            extendedSequenceNumbers: parts.extended.isEmpty ? [false] : parts.extended)
        return (proposal, parts.notes)
    }
}

private func proposals<Proposal>(
    _ text: String, _ reading: ProposalReading<Proposal>
) throws(Problem) -> [Proposal] {
    if let error = reading.errors.first { throw error.problem }
    if reading.proposals.isEmpty {
        throw Problem("no proposal in \"\(text)\"", remedy: "write \"default\"")
    }
    return reading.proposals
}

extension String {
    /// The items of a list, without blanks around them.
    fileprivate var proposalItems: [String] {
        split(separator: ",").map { String($0.trimmingSpaces) }.filter { !$0.isEmpty }
    }
}

extension Substring {
    /// The text without blanks at either end.
    var trimmingSpaces: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}

// MARK: - Back to text

extension IKEProposal: CustomStringConvertible {
    /// The text as `init(parsing:)` reads it. The PRF is written only where it does not follow from the integrity
    /// algorithm.
    package var description: String {
        let derived = integrity.map { PRF(name: "prf\($0.name)") } == functions.map(Optional.some)
        let names =
            encryption.map(\.name) + integrity.map(\.name) + (derived ? [] : functions.map(\.name))
            + keyExchanges.map(\.name)
        return names.joined(separator: "-")
    }
}

extension ChildProposal: CustomStringConvertible {
    /// The text as `init(parsing:)` reads it. "noesn" alone is not written.
    package var description: String {
        let esn = extendedSequenceNumbers == [false] ? [] : extendedSequenceNumbers.map { $0 ? "esn" : "noesn" }
        let none = keyExchanges.isEmpty || keyExchangeNeed == .required ? [] : ["none"]
        let methods = keyExchangeNeed == .accepted ? none + keyExchanges.map(\.name) : keyExchanges.map(\.name) + none
        let names = encryption.map(\.description) + integrity.map(\.description) + methods + esn
        return names.joined(separator: "-")
    }
}

extension ESPEncryption {
    /// Whether it authenticates too (GMAC only that), so that no integrity algorithm goes with it.
    var isAEAD: Bool {
        switch self {
        case .aesGCM, .aesGMAC, .chaCha20Poly1305: true
        case .aesCBC, .aesCTR, .null: false
        }
    }
}
