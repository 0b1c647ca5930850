import Packets

/// What proposals may name.
public struct ProposalRules: Hashable, Sendable {
    /// `--allow-weak`: MODP-1024 and MODP-1536 too, which RFC 8247 section 2.4 advises against.
    public var allowsWeakGroups = false

    public init(allowsWeakGroups: Bool = false) { self.allowsWeakGroups = allowsWeakGroups }
}

/// What a list of proposals comes to.
public struct ProposalReading<Proposal: Hashable & Sendable>: Sendable {
    /// A remark about one item of the list, or why it is left out.
    public struct Remark: Sendable {
        public var item: String
        public var problem: Problem
    }

    /// In the order of the list, each once.
    public internal(set) var proposals: [Proposal] = []
    /// What is served otherwise than it is written, and what is left out because others of the list will do.
    public internal(set) var warnings: [Remark] = []
    /// Items for which there is no stand-in.
    public internal(set) var errors: [Remark] = []

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
