import Cryptography
import IKEv2Messages

// Why there is no common proposal: proposal by proposal what differed, and which line of swanctl.conf to change.

extension IKENegotiation {
    /// The responder's record of NO_PROPOSAL_CHOSEN.
    package static func explain(
        offered: SecurityAssociationPayload, configured: [IKEProposal], connection: String
    ) -> Explanation {
        let ours = configured.map { ("\($0)", $0.template) }
        let wanted = offered.proposals.lazy.compactMap { IKEProposal($0.shortened)?.description }.first
        return ProposalExplanation(
            offered: offered, ours: ours, line: "connections.\(connection).proposals", wanted: wanted
        ).explanation
    }

    /// The initiator's record of NO_PROPOSAL_CHOSEN: the responder does not say what it would have taken.
    package static func explainRefusal(of proposals: [IKEProposal], connection: String) -> Explanation {
        ProposalExplanation.refusal(
            proposals.map(\.description), line: "connections.\(connection).proposals")
    }
}

extension ChildNegotiation {
    /// The responder's record of NO_PROPOSAL_CHOSEN.
    package static func explain(
        offered: SecurityAssociationPayload, configured: [ChildProposal], withKeyExchange: Bool, connection: String,
        child: String
    ) -> Explanation {
        let ours = configured.map { ("\($0)", $0.template(withKeyExchange: withKeyExchange)) }
        let wanted = offered.proposals.lazy.compactMap { ChildProposal($0.shortened)?.description }.first
        return ProposalExplanation(
            offered: offered, ours: ours, line: line(connection, child), wanted: wanted
        ).explanation
    }

    /// The initiator's record of NO_PROPOSAL_CHOSEN: the responder does not say what it would have taken.
    package static func explainRefusal(of proposals: [ChildProposal], connection: String, child: String) -> Explanation
    {
        ProposalExplanation.refusal(proposals.map(\.description), line: line(connection, child))
    }

    private static func line(_ connection: String, _ child: String) -> String {
        "connections.\(connection).children.\(child).esp_proposals"
    }
}

/// The offers of the peer against what is configured.
private struct ProposalExplanation {
    let offered: SecurityAssociationPayload
    let ours: [(text: String, template: ProposalTemplate)]
    /// The setting in swanctl.conf.
    let line: String
    /// The first offer that could be configured here, in our notation.
    let wanted: String?

    /// Proposals of the peer that are spelt out; a log record has to end somewhere.
    private static let limit = 8

    var explanation: Explanation {
        var details = ["configured here: \(ours.map(\.text).joined(separator: ", "))"]
        for proposal in offered.proposals.prefix(Self.limit) { details.append(difference(proposal)) }
        if offered.proposals.count > Self.limit {
            details.append("and \(offered.proposals.count - Self.limit) more proposals of the peer")
        }
        let current = ours.map(\.text).joined(separator: ", ")
        let remedy =
            wanted.map {
                "write \(line) = \(current), \($0), or let the peer offer \(ours.first?.text ?? "one of ours")"
            }
            ?? "let the peer offer one of \(current), as nothing it offers is supported here"
        return Explanation(
            "no proposal chosen: the peer offers nothing that is configured", details: details, remedy: remedy)
    }

    static func refusal(_ offered: [String], line: String) -> Explanation {
        Explanation(
            "no proposal chosen: the peer accepts none of ours",
            details: zip(1..., offered).map { "we offered proposal \($0): \($1)" },
            remedy: "add a proposal of the peer to \(line), or one of these to the peer's configuration")
    }

    /// One line for a proposal of the peer: how it differs from the closest of ours.
    private func difference(_ proposal: Proposal) -> String {
        let shortened = proposal.shortened
        let rest = proposal.transforms.count - shortened.transforms.count
        let name = "peer's proposal \(proposal.number) (\(shortened)\(rest > 0 ? " and \(rest) more" : ""))"
        let matches = ours.compactMap { text, template -> (String, ProposalTemplate, [TransformType])? in
            guard template.protocolID == proposal.protocolID else { return nil }
            guard case .different(let types) = ProposalMatch(proposal, template) else { return (text, template, []) }
            return (text, template, types)
        }
        guard let (text, template, types) = matches.min(by: { $0.2.count < $1.2.count }) else {
            return "\(name): \(proposal.protocolID) is not wanted here"
        }
        if types.isEmpty { return "\(name): agrees with \(text), but has no usable SPI" }
        let parts = types.map { type in
            let theirs = proposal.transforms(of: type)
            let mine = template.alternatives.first { $0.type == type }?.transforms ?? []
            return "\(Self.name(type)): peer \(Self.list(theirs)), here \(Self.list(mine))"
        }
        return "\(name) differs from \(text) in \(parts.joined(separator: "; "))"
    }

    private static func list(_ transforms: [Transform]) -> String {
        if transforms.isEmpty { return "none" }
        return transforms.prefix(Proposal.transformsShown).map(\.description).joined(separator: "/")
            + (transforms.count > Proposal.transformsShown ? "/…" : "")
    }

    private static func name(_ type: TransformType) -> String {
        switch type {
        case .encryption: "encryption"
        case .pseudorandomFunction: "PRF"
        case .integrity: "integrity"
        case .keyExchange: "key exchange"
        case .sequenceNumbers: "sequence numbers"
        default: "\(type)"
        }
    }
}

extension SecurityAssociationPayload {
    /// The proposals, as many as are good to read.
    var shown: String {
        let shown = proposals.prefix(8).map { "\($0.shortened)" }.joined(separator: ", ")
        return proposals.count > 8 ? "\(shown), and \(proposals.count - 8) more" : shown
    }
}

extension TrafficSelectorPayload {
    /// The same of selectors.
    var shown: String {
        let shown = ranges.prefix(8).map(\.description).joined(separator: ", ")
        return ranges.count > 8 ? "\(shown), and \(ranges.count - 8) more" : shown.isEmpty ? "nothing" : shown
    }
}

extension Proposal {
    /// Any peer can offer a thousand of them, and every one would be spelt out in the log.
    fileprivate static let transformsShown = 32

    /// The proposal with as many transforms as are shown.
    fileprivate var shortened: Proposal {
        var proposal = self
        proposal.transforms = Array(transforms.prefix(Self.transformsShown))
        return proposal
    }
}

// MARK: - The peer's proposals in our notation

extension IKEProposal {
    /// The known part of a peer's proposal; nil when a necessary part is missing.
    fileprivate init?(_ proposal: Proposal) {
        let encryption = proposal.transforms(of: .encryption).compactMap {
            IKECipherSuite.Encryption(transformID: $0.id, keyBits: $0.keyLength.map(Int.init))
        }
        let isAEAD = encryption.first?.isAEAD ?? false
        self.init(
            encryption: encryption.filter { $0.isAEAD == isAEAD },
            integrity: isAEAD
                ? [] : proposal.transforms(of: .integrity).compactMap { IKECipherSuite.Integrity(rawValue: $0.id) },
            functions: proposal.transforms(of: .pseudorandomFunction).compactMap { PRF(rawValue: $0.id) },
            keyExchanges: proposal.transforms(of: .keyExchange).compactMap {
                KeyExchangeMethod(KeyExchangeID(rawValue: $0.id))
            })
        let isComplete = !self.encryption.isEmpty && !functions.isEmpty && !keyExchanges.isEmpty
        guard proposal.protocolID == .ike, isComplete, isAEAD || !integrity.isEmpty else { return nil }
    }
}

extension ChildProposal {
    /// The known part of a peer's proposal; nil when a necessary part is missing.
    fileprivate init?(_ proposal: Proposal) {
        let encryption = proposal.transforms(of: .encryption).compactMap(ESPEncryption.init)
        let isAEAD = encryption.first?.isAEAD ?? false
        let methods = proposal.transforms(of: .keyExchange).map(\.id)
        let numbers = proposal.transforms(of: .sequenceNumbers).map { $0.id == SequenceNumbers.extended.rawValue }
        self.init(
            encryption: encryption.filter { $0.isAEAD == isAEAD },
            integrity: isAEAD
                ? [] : proposal.transforms(of: .integrity).compactMap { ESPIntegrity(transformID: $0.id) },
            keyExchanges: methods.compactMap { KeyExchangeMethod(KeyExchangeID(rawValue: $0)) },
            keyExchangeNeed: methods.contains(ProposalTemplate.none) ? .preferred : .required,
            extendedSequenceNumbers: numbers.isEmpty ? [false] : numbers)
        guard proposal.protocolID == .esp, !self.encryption.isEmpty, isAEAD || !integrity.isEmpty else { return nil }
    }
}
