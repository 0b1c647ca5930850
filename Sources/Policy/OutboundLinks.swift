import IPsec
import Packets

/// One outbound SA that serves a policy.
@frozen
@usableFromInline
struct OutboundLink: @unchecked Sendable {
    @usableFromInline let sa: UnsafeMutablePointer<OutboundRuntime>
    /// The outer destination: where the packet is routed to.
    @usableFromInline let destination: IPAddress
    /// The SA takes only packets that match one of these; none: every packet of the policy.
    @usableFromInline let selectors: UnsafePointer<TrafficSelector>
    @usableFromInline let selectorCount: UInt32
    @usableFromInline let owner: UInt16
    /// The place of its request id among those of the policy: packets take an SA of the lowest that has one for them.
    @usableFromInline let rank: UInt16

    @inlinable
    func takes(_ flow: PacketSummary) -> Bool {
        if selectorCount == 0 { return true }
        var index: UInt32 = 0
        while index < selectorCount {
            if selectors[Int(index)].matches(flow) { return true }
            index &+= 1
        }
        return false
    }
}

/// The SAs of one policy, by rank, then the newest first.
@frozen
@usableFromInline
struct OutboundLinks: BitwiseCopyable, @unchecked Sendable {
    @usableFromInline let links: UnsafePointer<OutboundLink>?
    @usableFromInline let count: Int

    init(links: UnsafePointer<OutboundLink>?, count: Int) {
        self.links = links
        self.count = count
    }

    /// Among the SAs of the first rank that has one for the packet: the newest that takes it and belongs to the worker;
    /// else the newest that takes it, which is the same one for all workers without their own.
    ///
    /// An SA that is spent comes last, whatever its rank and whoever owns it: it is chosen only if no other takes the packet,
    /// which it will refuse.
    @inlinable
    func select(flow: PacketSummary, worker: Int) -> UnsafePointer<OutboundLink>? {
        guard let links else { return nil }
        var chosen: UnsafePointer<OutboundLink>?
        var spent: UnsafePointer<OutboundLink>?
        var position = 0
        while position < count {
            let link = links + position
            position &+= 1
            if let chosen {
                if link.pointee.rank != chosen.pointee.rank { return chosen }
                if Int(link.pointee.owner) != worker { continue }
            }
            if !link.pointee.takes(flow) { continue }
            if link.pointee.sa.pointee.isSpent {
                if spent == nil { spent = link }
                continue
            }
            if Int(link.pointee.owner) == worker { return link }
            chosen = link
        }
        return chosen ?? spent
    }
}

/// The memory of one policy's `OutboundLinks`; it keeps their SAs alive. Immutable.
final class PolicyLinks: Sendable {
    let view: OutboundLinks
    private let links: HotArray<OutboundLink>
    private let selectors: HotArray<TrafficSelector>
    private let associations: [OutboundSA]

    /// The SAs of a policy; nil when none of them serves it.
    /// - Parameter candidates: for each request id of the policy those that have it, the newest first.
    init?(_ policy: SecurityPolicy, preferredFirst candidates: [[OutboundSA]]) {
        guard policy.direction == .out, let protection = policy.protection else { return nil }
        var chosen: [(association: OutboundSA, rank: UInt16, first: Int, count: Int)] = []
        var selectors: [TrafficSelector] = []
        for (rank, associations) in candidates.enumerated() {
            for association in associations where protection.accepts(association.parameters) {
                let own = association.parameters.selectors
                let relevant = own.filter { $0.overlaps(policy.selector) }
                if relevant.isEmpty && !own.isEmpty { continue }
                let needed = own.contains { $0.contains(policy.selector) } ? [] : relevant
                chosen.append((association, UInt16(clamping: rank), selectors.count, needed.count))
                selectors += needed
            }
        }
        guard !chosen.isEmpty else { return nil }
        let selectorMemory = HotArray(selectors)
        self.selectors = selectorMemory
        associations = chosen.map(\.association)
        links = HotArray(
            chosen.map { association, rank, first, count in
                OutboundLink(
                    sa: association.runtime, destination: association.parameters.destination,
                    selectors: UnsafePointer(selectorMemory.base + first), selectorCount: UInt32(count),
                    owner: UInt16(truncatingIfNeeded: association.parameters.owner), rank: rank)
            })
        view = OutboundLinks(links: UnsafePointer(links.base), count: chosen.count)
    }
}

/// The outbound half of the SAD as lookups read it, changed in place while nobody does.
final class OutboundTables {
    /// The SAs of each policy, by slot.
    let views: HotVector<OutboundLinks>
    private var links: [PolicyLinks?]
    /// The SAs by the order in which they came.
    private(set) var associations: [UInt64: OutboundSA]

    private static let none = OutboundLinks(links: nil, count: 0)

    init() {
        views = HotVector([])
        links = []
        associations = [:]
    }

    private init(copying other: OutboundTables) {
        views = other.views.copy()
        links = other.links
        associations = other.associations
    }

    func copy() -> OutboundTables { OutboundTables(copying: self) }

    /// Puts the SAs of a policy in the place of those before.
    func set(policy slot: Int, to new: PolicyLinks?) {
        views.grow(to: slot + 1, repeating: Self.none)
        while links.count <= slot { links.append(nil) }
        views.base[slot] = new?.view ?? Self.none
        links[slot] = new
    }

    /// Puts an SA into its place among all, or takes it out.
    func set(number: UInt64, to association: OutboundSA?) { associations[number] = association }
}

extension SecurityPolicy.Protection {
    func accepts(_ parameters: SAParameters) -> Bool {
        accepts(requestID: parameters.requestID, source: parameters.source, destination: parameters.destination)
    }
}
