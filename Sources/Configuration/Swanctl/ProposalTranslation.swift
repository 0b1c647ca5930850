import IKEv2

extension SectionReader {
    /// The proposals of a key. What is left out of them is a warning, what nothing stands in for is an error.
    /// - Parameter standard: where nothing is written, or nothing can be used.
    func proposals<Proposal>(
        _ key: String, default standard: [Proposal], _ read: ([String], ProposalRules) -> ProposalReading<Proposal>
    ) -> [Proposal] {
        let reading = read(items(key), findings.proposalRules)
        for remark in reading.errors { fail(value(key), remark.item, remark.text.problem, remark.text.remedy) }
        for remark in reading.warnings { warn(value(key), remark.item, remark.text.problem, remark.text.remedy) }
        return reading.proposals.isEmpty ? standard : reading.proposals
    }
}
