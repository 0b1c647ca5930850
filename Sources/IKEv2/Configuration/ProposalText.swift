import Cryptography

/// Why a text is no proposal: what is wrong, and what to write instead.
public struct ProposalTextError: Error, Hashable, Sendable, CustomStringConvertible {
    public var problem: String
    public var remedy: String

    public init(_ problem: String, remedy: String) {
        self.problem = problem
        self.remedy = remedy
    }

    public var description: String { "\(problem); \(remedy)" }
}

extension IKEProposal {
    /// Reads strongSwan's notation, "aes256gcm16-prfsha384-ecp384". Several algorithms of one kind are alternatives.
    /// Without a PRF the one of the integrity algorithm is meant, with "aes256gcm16-sha384-ecp384" too.
    public init(parsing text: String) throws(ProposalTextError) {
        let parts = try ProposalParts(text)
        let isAEAD = try parts.isAEAD(encryption: parts.ikeEncryption.map { ($0.name, $0.isAEAD) })
        if let unfit = parts.espOnly.first {
            throw ProposalTextError(
                "\"\(unfit)\" in \"\(text)\" is for ESP only", remedy: "write \"\(Self.example)\" for an IKE SA")
        }
        let derived = parts.integrity.compactMap(\.function)
        let functions = parts.functions.isEmpty ? derived : parts.functions
        if functions.isEmpty {
            throw ProposalTextError("\"\(text)\" names no PRF", remedy: "append \"-prfsha256\"")
        }
        if isAEAD, !parts.functions.isEmpty { try parts.refuseIntegrity() }
        if parts.keyExchanges.isEmpty {
            throw ProposalTextError("\"\(text)\" names no key exchange", remedy: "append \"-x25519\" or \"-ecp256\"")
        }
        self.init(
            encryption: parts.ikeEncryption, integrity: isAEAD ? [] : parts.integrity.compactMap(\.ike),
            functions: functions, keyExchanges: parts.keyExchanges)
    }

    /// Reads a list as swanctl.conf has it, "aes128gcm16-prfsha256-x25519, default".
    public static func list(parsing text: String) throws(ProposalTextError) -> [IKEProposal] {
        try proposals(text, default: Self.default) { text throws(ProposalTextError) in try IKEProposal(parsing: text) }
    }

    private static let example = "aes256gcm16-prfsha384-ecp384"
}

extension ChildProposal {
    /// Reads strongSwan's notation, "aes128gcm16-x25519-esn-noesn". Without "esn" sequence numbers are not extended.
    public init(parsing text: String) throws(ProposalTextError) {
        let parts = try ProposalParts(text)
        let isAEAD = try parts.isAEAD(encryption: parts.espEncryption.map { ("\($0)", $0.isAEAD) })
        if isAEAD { try parts.refuseIntegrity() }
        if let function = parts.functions.first {
            throw ProposalTextError(
                "\"\(function)\" in \"\(text)\": ESP has no PRF", remedy: "leave \"-\(function)\" out")
        }
        self.init(
            encryption: parts.espEncryption, integrity: parts.integrity.map(\.esp), keyExchanges: parts.keyExchanges,
            extendedSequenceNumbers: parts.extended.isEmpty ? [false] : parts.extended)
    }

    /// Reads a list as swanctl.conf has it, "aes128gcm16, default".
    public static func list(parsing text: String) throws(ProposalTextError) -> [ChildProposal] {
        try proposals(text, default: Self.default) { text throws(ProposalTextError) in
            try ChildProposal(parsing: text)
        }
    }
}

private func proposals<Proposal: Hashable>(
    _ text: String, default standard: [Proposal], _ parse: (String) throws(ProposalTextError) -> Proposal
) throws(ProposalTextError) -> [Proposal] {
    var found: [Proposal] = []
    for part in text.split(separator: ",") {
        let trimmed = String(part.trimmingSpaces)
        let next = trimmed.lowercased() == "default" ? standard : [try parse(trimmed)]
        found += next.filter { !found.contains($0) }
    }
    if found.isEmpty { throw ProposalTextError("\"\(text)\" names no proposal", remedy: "write \"default\"") }
    return found
}

extension Substring {
    /// Without blanks at either end.
    var trimmingSpaces: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}

// MARK: - Back to text

extension IKEProposal: CustomStringConvertible {
    /// As `init(parsing:)` reads it. The PRF is written only where it does not follow from the integrity algorithm.
    public var description: String {
        let derived = integrity.map { PRF(name: "prf\($0.name)") } == functions.map(Optional.some)
        let names =
            encryption.map(\.name) + integrity.map(\.name) + (derived ? [] : functions.map(\.name))
            + keyExchanges.map(\.name)
        return names.joined(separator: "-")
    }
}

extension ChildProposal: CustomStringConvertible {
    /// As `init(parsing:)` reads it. "noesn" alone is not written.
    public var description: String {
        let esn = extendedSequenceNumbers == [false] ? [] : extendedSequenceNumbers.map { $0 ? "esn" : "noesn" }
        let names =
            encryption.map(\.description) + integrity.map(\.description) + keyExchanges.map(\.name) + esn
        return names.joined(separator: "-")
    }
}

extension ESPEncryption {
    /// It authenticates too (GMAC only that), so no integrity algorithm goes with it.
    var isAEAD: Bool {
        switch self {
        case .aesGCM, .aesGMAC, .chaCha20Poly1305: true
        case .aesCBC, .aesCTR, .null: false
        }
    }
}
