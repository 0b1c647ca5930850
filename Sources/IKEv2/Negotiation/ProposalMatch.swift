import IKEv2Messages

/// One configured proposal as transforms: what is acceptable of each type, most preferred first.
struct ProposalTemplate {
    /// `NONE` of a type and its absence are the same (RFC 7296 sections 3.3.2 and 3.3.3).
    static let none: UInt16 = 0

    let protocolID: ProtocolID
    /// The alternatives by transform type; a type that is not here may only be absent or `NONE`.
    let alternatives: [(type: TransformType, transforms: [Transform])]
    /// Types of the peer that do not count at all: the key exchange in IKE_AUTH (RFC 7296 section 1.2).
    let ignored: Set<TransformType>

    init(
        protocolID: ProtocolID, alternatives: [(TransformType, [Transform])], ignored: Set<TransformType> = []
    ) {
        self.protocolID = protocolID
        self.alternatives = alternatives.filter { !$0.1.isEmpty }
        self.ignored = ignored
    }

    /// All alternatives as a proposal of ours.
    func proposal(number: UInt8, spi: [UInt8]) -> Proposal {
        Proposal(number: number, protocolID: protocolID, spi: spi, transforms: alternatives.flatMap(\.transforms))
    }
}

/// Result of a match: the transforms that the answer has, or the types that have nothing in common.
enum ProposalMatch {
    case chosen([Transform])
    case different([TransformType])

    /// Transform types of a proposal that are looked at; 13 are registered.
    private static let mostTypes = 32

    /// A proposal of the peer against one of ours (RFC 7296 sections 2.7 and 3.3.6). For each type the first of ours that
    /// the peer has too. Transforms with unknown ids or attributes are not eligible; the others of their type are.
    /// - Parameter begun: the method that the peer has sent a value of: where we take it, it saves an exchange.
    init(_ offered: Proposal, _ template: ProposalTemplate, begun: KeyExchangeID? = nil) {
        guard offered.protocolID == template.protocolID else {
            self = .different([])
            return
        }
        var types: [TransformType] = []
        for type in template.alternatives.map(\.type) + offered.transforms.map(\.type)
        where !types.contains(type) && !template.ignored.contains(type) {
            types.append(type)
            if types.count > Self.mostTypes {
                // An unknown type is reason enough to refuse a proposal; its search is not to cost more than it.
                self = .different([type])
                return
            }
        }
        var chosen: [Transform] = []
        var different: [TransformType] = []
        for type in types.sorted(by: { $0.rawValue < $1.rawValue }) {
            let theirs = offered.transforms(of: type)
            var ours = template.alternatives.first { $0.type == type }?.transforms ?? []
            if type == .keyExchange, let begun, let index = ours.firstIndex(where: { $0.id == begun.rawValue }) {
                ours.swapAt(0, index)
            }
            switch Self.select(ours, theirs, type) {
            case .some(let transform): if let transform { chosen.append(transform) }
            case .none: different.append(type)
            }
        }
        self = different.isEmpty ? .chosen(chosen) : .different(different)
    }

    /// The common transform; nil: nothing in common. The inner nil: there is none of this type, and the answer does not
    /// mention it.
    private static func select(_ ours: [Transform], _ theirs: [Transform], _ type: TransformType) -> Transform?? {
        let eligible = theirs.filter(\.hasOnlyKnownAttributes)
        if let common = ours.first(where: eligible.contains) { return .some(common) }
        let none = Transform(type: type, id: ProposalTemplate.none)
        let isOptional = type == .sequenceNumbers || type == .keyExchange
        let weTakeNone = ours.isEmpty || (isOptional && ours.contains(none))
        guard weTakeNone, type != .encryption, type != .pseudorandomFunction else { return nil }
        if theirs.isEmpty { return .some(nil) }
        return eligible.contains(none) ? .some(none) : nil
    }
}
