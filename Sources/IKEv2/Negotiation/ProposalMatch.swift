import IKEv2Messages

/// One configured proposal as transforms: what is acceptable of each type, most preferred first.
struct ProposalTemplate {
    /// `NONE` of a type and its absence are the same (RFC 7296 sections 3.3.2 and 3.3.3).
    static let none: UInt16 = 0

    let protocolID: ProtocolID
    /// The alternatives by transform type; a type that is not here may only be absent or `NONE`.
    let alternatives: [(type: TransformType, transforms: [Transform])]
    /// A type of the peer that does not count at all: the key exchange in IKE_AUTH (RFC 7296 section 1.2).
    let ignored: TransformType?

    init(
        protocolID: ProtocolID, alternatives: [(TransformType, [Transform])], ignored: TransformType? = nil
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
        var types: [TransformType] = template.alternatives.map(\.type)
        for transform in offered.transforms where transform.type != types.last && !types.contains(transform.type) {
            if transform.type == template.ignored { continue }
            types.append(transform.type)
            if types.count > Self.mostTypes {
                // An unknown type is reason enough to refuse a proposal; its search is not to cost more than it.
                self = .different([transform.type])
                return
            }
        }
        types.sort { $0.rawValue < $1.rawValue }
        var chosen: [Transform] = []
        var different: [TransformType] = []
        for type in types {
            var ours = template.alternatives.first { $0.type == type }?.transforms ?? []
            if type == .keyExchange, let begun, let index = ours.firstIndex(where: { $0.id == begun.rawValue }) {
                ours.swapAt(0, index)
            }
            switch Self.select(ours, offered.transforms, type) {
            case .some(let transform): if let transform { chosen.append(transform) }
            case .none: different.append(type)
            }
        }
        self = different.isEmpty ? .chosen(chosen) : .different(different)
    }

    /// The common transform; nil: nothing in common. The inner nil: there is none of this type, and the answer does not
    /// mention it.
    private static func select(
        _ ours: [Transform], _ offered: [Transform], _ type: TransformType
    ) -> Transform?? {
        func isOffered(_ transform: Transform) -> Bool {
            offered.contains { $0.type == type && $0 == transform && $0.hasOnlyKnownAttributes }
        }
        if let common = ours.first(where: isOffered) { return .some(common) }
        let none = Transform(type: type, id: ProposalTemplate.none)
        let isOptional = type == .sequenceNumbers || type == .keyExchange
        let weTakeNone = ours.isEmpty || (isOptional && ours.contains(none))
        guard weTakeNone, type != .encryption, type != .pseudorandomFunction else { return nil }
        if !offered.contains(where: { $0.type == type }) { return .some(nil) }
        return isOffered(none) ? .some(none) : nil
    }
}
