import IPsec
import Packets
import Synchronization

/// The versions by which a worker knows whether a decision that it remembers still holds: one number for each outbound policy
/// and one for each inbound SA, which grows when a decision that rests on it may have become another one.
///
/// A remembered decision carries the place of its number and the number as it was. It holds as long as both agree in the
/// snapshot at hand: then policy, SA and route are those of the decision, and what it points to is alive. What a next hop says
/// (the neighbour's link-layer address, its state) is not part of the decision, which names the next hop by its index.
///
/// Policies and SAs beyond the number of places share them, so that some decisions are made again without need.
@frozen
public enum FlowVersions {
    /// The places of outbound policies, and those of inbound SAs behind them.
    @inlinable static var placesEach: Int { 1024 }
    static var count: Int { placesEach * 2 }

    /// The place of an outbound policy, given by its index.
    @inlinable
    static func place(outboundPolicy index: UInt32) -> UInt16 {
        UInt16(truncatingIfNeeded: Int(index) & (placesEach &- 1))
    }

    /// The place of an inbound SA, given by its slot.
    @inlinable
    static func place(inboundSlot slot: UInt32) -> UInt16 {
        UInt16(truncatingIfNeeded: placesEach &+ Int(slot) & (placesEach &- 1))
    }
}

extension SnapshotTables {
    /// The index of a next hop that `route` has given. It means the same one in each snapshot in which the decision holds.
    @inlinable
    @inline(__always)
    public func index(of hop: UnsafePointer<NextHop>) -> UInt32 { UInt32(truncatingIfNeeded: hop - nextHops) }

    /// The place of the version on which decisions about packets of an inbound SA rest. SPI in network order.
    @inlinable
    public func versionPlace(inboundSPI spi: UInt32, of securityProtocol: SAProtocol) -> UInt16 {
        var steps = NoSteps()
        return FlowVersions.place(inboundSlot: spiTable.find(securityProtocol, spi, steps: &steps).pointee.link)
    }
}

extension OutboundDecision {
    /// The place of the version on which the decision rests. Only for one that a policy has made.
    @inlinable
    public var versionPlace: UInt16 { FlowVersions.place(outboundPolicy: policyIndex) }
}

extension NextHop {
    /// Whether a decision may name it. Not the one that stands for all neighbours of a link that are not known yet: each of them
    /// gets its own as soon as it is.
    @inlinable
    public var mayBeRemembered: Bool { !(state == .unresolved && isOnLink) }
}

/// The control side of `FlowVersions`: what has changed is counted here.
struct FlowVersionRegister {
    private var versions = [UInt32](repeating: 1, count: FlowVersions.count)
    /// The number of changes: no version has grown by more.
    private var changes: UInt64 = 0
    private let number = Self.numbers.wrappingAdd(1, ordering: .relaxed).newValue
    /// The versions as workers read them; nil: they have to be copied again.
    private var published: HotArray<UInt32>?

    private static let numbers = Atomic<UInt64>(0)

    /// The versions of snapshots are comparable only if they are of one lineage: one builder, and few enough changes for no
    /// version to have been all numbers.
    var lineage: UInt64 { number << 32 | changes >> 31 }

    mutating func changed(outboundPolicy slot: Int) {
        grow(Int(FlowVersions.place(outboundPolicy: UInt32(truncatingIfNeeded: slot))))
    }

    mutating func changed(inboundSlot slot: Int) {
        grow(Int(FlowVersions.place(inboundSlot: UInt32(truncatingIfNeeded: slot))))
    }

    mutating func changedAllOutbound() { grow(all: 0..<FlowVersions.placesEach) }
    mutating func changedAllInbound() { grow(all: FlowVersions.placesEach..<FlowVersions.count) }

    /// Where packets go has changed.
    mutating func changedRoutes() { grow(all: 0..<FlowVersions.count) }

    /// The versions now, which stay as they are.
    mutating func current() -> HotArray<UInt32> {
        if let published { return published }
        let copy = HotArray(versions)
        published = copy
        return copy
    }

    /// Pretends that there had been so many changes that the next one begins another lineage.
    mutating func exhaust() { changes |= 1 << 31 - 1 }

    private mutating func grow(_ place: Int) {
        versions[place] &+= 1
        changes += 1
        published = nil
    }

    private mutating func grow(all places: Range<Int>) {
        for place in places { versions[place] &+= 1 }
        changes += 1
        published = nil
    }
}

/// The changes of policies since the last snapshot that may turn decisions of others: by these is found whose versions grow.
struct PolicyTouches {
    /// Outbound policies that have come.
    private(set) var outbound: [(selector: TrafficSelector, precedence: UInt64)] = []
    /// The selectors of `in` and `fwd` policies that have come, gone, or ask for other SAs.
    private(set) var inbound: [TrafficSelector] = []
    /// More than these are not looked up one by one: every version grows.
    static let most = 256

    mutating func came(_ policy: StoredPolicy) {
        if policy.policy.direction == .out {
            if outbound.count <= Self.most { outbound.append((policy.policy.selector, policy.precedence)) }
        } else {
            touched(policy.policy)
        }
    }

    mutating func went(_ policy: SecurityPolicy) { if policy.direction != .out { touched(policy) } }

    private mutating func touched(_ policy: SecurityPolicy) {
        if inbound.count <= Self.most { inbound.append(policy.selector) }
    }
}
