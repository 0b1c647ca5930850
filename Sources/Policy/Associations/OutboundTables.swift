import IPsec
import Packets

/// One outbound SA that serves a policy.
@frozen
@usableFromInline
struct OutboundLink: @unchecked Sendable {
    @usableFromInline let sa: UnsafeMutablePointer<OutboundSA>
    /// The outer destination: where the packet is routed to.
    @usableFromInline let destination: IPAddress
    /// The SA takes only packets that match one of these; none: every packet of the policy.
    @usableFromInline let selectors: UnsafePointer<TrafficSelector>
    @usableFromInline let selectorCount: UInt32
    @usableFromInline let owner: UInt16

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

/// The SAs of each policy, the newest first.
@frozen
@usableFromInline
struct OutboundTable: BitwiseCopyable, @unchecked Sendable {
    /// The links of policy `p` are `links[starts[p] ..< starts[p + 1]]`.
    @usableFromInline let starts: UnsafePointer<UInt32>
    @usableFromInline let links: UnsafePointer<OutboundLink>

    init(starts: UnsafePointer<UInt32>, links: UnsafePointer<OutboundLink>) {
        self.starts = starts
        self.links = links
    }

    /// The newest SA of the policy that takes the packet and belongs to the worker; else the newest that takes it, which
    /// is the same one for all workers without their own.
    @inlinable
    func select(policy: UInt32, flow: PacketSummary, worker: Int) -> UnsafePointer<OutboundLink>? {
        var chosen: UnsafePointer<OutboundLink>?
        var position = starts[Int(policy)]
        let end = starts[Int(policy) &+ 1]
        while position < end {
            let link = links + Int(position)
            position &+= 1
            if chosen != nil, Int(link.pointee.owner) != worker { continue }
            if !link.pointee.takes(flow) { continue }
            if Int(link.pointee.owner) == worker { return link }
            chosen = link
        }
        return chosen
    }
}

/// The memory of an `OutboundTable`, built once per set of SAs and policies.
final class OutboundTables: Sendable {
    let table: OutboundTable
    private let starts: HotArray<UInt32>
    private let links: HotArray<OutboundLink>
    private let selectors: HotArray<TrafficSelector>

    /// `associations` from the oldest to the newest.
    init(_ associations: [OutboundAssociation], policies: [PolicyCounters]) {
        let newestFirst = Array(associations.reversed())
        let byRequestID = Dictionary(grouping: newestFirst) { $0.parameters.requestID }
        var starts: [UInt32] = [0]
        var chosen: [(association: OutboundAssociation, first: Int, count: Int)] = []
        var selectors: [TrafficSelector] = []
        for policy in policies.lazy.map(\.policy) {
            if policy.direction == .out, let protection = policy.protection {
                let candidates = protection.requestID == 0 ? newestFirst : byRequestID[protection.requestID] ?? []
                for association in candidates where protection.accepts(association.parameters) {
                    let own = association.parameters.selectors
                    let relevant = own.filter { $0.overlaps(policy.selector) }
                    if relevant.isEmpty && !own.isEmpty { continue }
                    let needed = own.contains { $0.contains(policy.selector) } ? [] : relevant
                    chosen.append((association, selectors.count, needed.count))
                    selectors += needed
                }
            }
            starts.append(UInt32(chosen.count))
        }

        let selectorMemory = HotArray(selectors)
        self.selectors = selectorMemory
        self.starts = HotArray(starts)
        links = HotArray(
            chosen.map { association, first, count in
                OutboundLink(
                    sa: association.runtime, destination: association.parameters.destination,
                    selectors: UnsafePointer(selectorMemory.base + first), selectorCount: UInt32(count),
                    owner: UInt16(truncatingIfNeeded: association.parameters.owner))
            })
        table = OutboundTable(starts: UnsafePointer(self.starts.base), links: UnsafePointer(links.base))
    }
}

extension SecurityPolicy.Protection {
    func accepts(_ parameters: SAParameters) -> Bool {
        accepts(requestID: parameters.requestID, source: parameters.source, destination: parameters.destination)
    }
}
