/// SA: proposals, most preferred first (RFC 7296 section 3.3).
public struct SecurityAssociationPayload: Hashable, Sendable {
    public var proposals: [Proposal]

    public init(_ proposals: [Proposal]) { self.proposals = proposals }

    /// An offer numbers its proposals 1, 2, 3, … (RFC 7296 section 3.3.1). Ours does; of a peer's the numbers are only
    /// repeated.
    public var isNumberedAsOffer: Bool {
        proposals.enumerated().allSatisfy { Int($0.element.number) == $0.offset + 1 }
    }
}

extension SecurityAssociationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        proposals = []
        var transformsLeft = reader.limits.transforms
        var isLast = false
        while !isLast {
            if proposals.count == reader.limits.proposals {
                throw reader.failure(.tooMany(field: "proposals", limit: reader.limits.proposals))
            }
            let (proposal, last) = try Proposal.decode(from: &reader, transformsLeft: &transformsLeft)
            proposals.append(proposal)
            isLast = last
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        if proposals.isEmpty { throw EncodingFailure(field: "number of proposals", value: 0, limit: 255) }
        for (index, proposal) in proposals.enumerated() {
            try proposal.encode(into: &writer, isLast: index == proposals.count - 1)
        }
    }
}
