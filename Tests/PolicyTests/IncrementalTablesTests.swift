import IPsec
import Packets
import Testing

@testable import Policy

/// Tables that follow changes are compared with tables made at once, after random sequences of changes.
@Suite("Tables that follow changes say what tables made from scratch say")
struct IncrementalTablesTests {
    /// What differs between two snapshots, as far as random packets show it.
    private func differences(_ one: Snapshot, _ other: Snapshot, _ world: inout ChangingWorld) throws -> [String] {
        var wrong: [String] = []
        func name(_ snapshot: Snapshot, _ index: UInt32) -> String { snapshot.policy(at: index)?.policy.name ?? "none" }
        if one.policies.map(\.policy) != other.policies.map(\.policy) { wrong.append("policies") }
        if !one.outboundAssociations.elementsEqual(other.outboundAssociations, by: ===) { wrong.append("outbound") }
        if !one.inboundAssociations.elementsEqual(other.inboundAssociations, by: ===) { wrong.append("inbound") }
        if one.counts != other.counts { wrong.append("counts") }
        for _ in 0..<40 {
            let flow = try world.universe.flow()
            let decisions = [one, other].map { $0.tables.pointee.outbound(flow, worker: 1) }
            if name(one, decisions[0].policyIndex) != name(other, decisions[1].policyIndex)
                || decisions[0].sa != decisions[1].sa || decisions[0].action != decisions[1].action
                || decisions[0].destination != decisions[1].destination || decisions[0].owner != decisions[1].owner
            {
                wrong.append("outbound \(flow)")
            }
            let spi = 256 + UInt32(world.pick(Int(world.nextSPI.value) - 250)) as SPI
            if one.tables.pointee.inbound(spi: spi.networkOrder) != other.tables.pointee.inbound(spi: spi.networkOrder)
            {
                wrong.append("SPI \(spi)")
            }
            for isLocal in [false, true] {
                let answers = [one, other].map {
                    $0.tables.pointee.inboundPolicy(flow, spi: spi.networkOrder, isLocal: isLocal)
                }
                if answers[0].verdict != answers[1].verdict
                    || name(one, answers[0].policyIndex) != name(other, answers[1].policyIndex)
                {
                    wrong.append("inbound \(spi) \(flow)")
                }
            }
        }
        return wrong
    }

    @Test("Random sequences, snapshots held for random times", arguments: 0..<16)
    func sequences(seed: Int) throws {
        var world = ChangingWorld(seed: seed)
        // Snapshots that somebody still has: the tables of these must not change.
        var held: [(snapshot: Snapshot, reference: Snapshot)] = []
        for _ in 0..<40 {
            for _ in 0...world.pick(8) { try world.change() }
            // All numbers of policies are used up.
            if world.universe.random.chance(5) { world.builder.exhaustPolicyNumbers() }
            let snapshot = world.builder.build()
            let reference = try world.fromScratch()
            #expect(try differences(snapshot, reference, &world) == [])
            held.append((snapshot, reference))
            if world.universe.random.chance(60) { held.remove(at: world.pick(held.count)) }
            if world.universe.random.chance(30) { held.removeAll() }
            if world.universe.random.chance(20) { world.builder.catchUp() }
            for (snapshot, reference) in held { #expect(try differences(snapshot, reference, &world) == []) }
        }
    }

    @Test("Policies that are all replaced keep their counters, and those that follow come behind them")
    func reload() throws {
        var world = ChangingWorld(seed: 1)
        let builder = world.builder
        var all: [SecurityPolicy] = []
        for round in 0..<20 {
            all = try (0..<30).map { _ in try world.policy() } + all.prefix(10)
            try builder.setPolicies(all)
            let late = (0..<round).map { _ in world.universe.policy() }
            for policy in late { _ = try builder.addPolicy(policy) }
            all += late
            let snapshot = builder.build()
            let reference = try SnapshotBuilder.snapshot(policies: all)
            #expect(try differences(snapshot, reference, &world) == [])
        }
    }

    @Test("Tables of snapshots that are gone are used again, and let go of what is gone")
    func reuse() throws {
        let builder = SnapshotBuilder(workers: 1)
        weak var association: OutboundSA?
        var bases: Set<UnsafePointer<PolicyRecord>> = []
        try builder.setPolicies([SecurityPolicy(selector: .any(.ipv4), direction: .out, action: Fixture.protect(1))])
        var current: Snapshot? = builder.build()
        for number in 0..<50 as Range<UInt32> {
            let new = try Fixture.outbound(spi: 300 + number)
            if number == 0 { association = new }
            try builder.addOutbound(new)
            current = builder.build()
            if let current { bases.insert(current.tables.pointee.records) }
            builder.removeOutbound(new)
        }
        #expect(current != nil && bases.count <= 3 && association == nil)
    }
}

/// SAs and policies as a plain list would have them, beside the builder that is tested.
struct ChangingWorld {
    var universe: PolicyUniverse
    let builder = SnapshotBuilder(workers: 2)
    var policies: [(policy: SecurityPolicy, token: SnapshotBuilder.PolicyToken)] = []
    var outbound: [OutboundSA] = []
    var inbound: [InboundSA] = []
    var nextSPI: SPI = 256

    init(seed: Int) { universe = PolicyUniverse(seed: seed) }

    mutating func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &universe.random) }

    mutating func policy() throws -> SecurityPolicy {
        var policy = universe.policy()
        if universe.random.chance(60) {
            let ends: (String?, String?) = universe.random.chance(30) ? ("192.0.2.1", "192.0.2.2") : (nil, nil)
            let requestID = UInt32(pick(5))
            policy.action =
                policy.direction == .out
                ? try Fixture.protect(requestID, ends.0, ends.1) : try Fixture.protect(requestID, ends.1, ends.0)
        }
        return policy
    }

    mutating func selectors() -> [TrafficSelector] {
        universe.random.chance(50) ? [] : (0...pick(2)).map { _ in universe.policy().selector }
    }

    /// One change of any kind.
    mutating func change() throws {
        switch pick(10) {
        case 0, 1:
            let policy = try policy()
            policies.append((policy, try builder.addPolicy(policy)))
        case 2:
            guard !policies.isEmpty else { return }
            builder.removePolicy(policies.remove(at: pick(policies.count)).token)
        case 3, 4:
            let new = try Fixture.outbound(
                spi: 300, requestID: UInt32(1 + pick(4)), owner: pick(2), selectors: selectors())
            try builder.addOutbound(new)
            outbound.append(new)
        case 5:
            guard !outbound.isEmpty else { return }
            #expect(builder.removeOutbound(outbound.remove(at: pick(outbound.count))))
        case 6, 7:
            nextSPI += 1
            try add(Fixture.inbound(spi: nextSPI, requestID: UInt32(1 + pick(4)), selectors: selectors()))
        case 8:
            guard !inbound.isEmpty else { return }
            let old = inbound.remove(at: pick(inbound.count))
            #expect(builder.removeInbound(spi: old.parameters.spi))
            // The SPI may come back at once.
            if universe.random.chance(30) {
                try add(Fixture.inbound(spi: old.parameters.spi, requestID: UInt32(1 + pick(4))))
            }
        default: try replace()
        }
    }

    private mutating func add(_ association: InboundSA) throws {
        try builder.addInbound(association)
        inbound.append(association)
    }

    /// A peer moves.
    private mutating func replace() throws {
        if !outbound.isEmpty {
            let index = pick(outbound.count)
            let moved = try OutboundSA(
                moving: outbound[index], source: address("192.0.2.1"), destination: address("192.0.2.9"),
                encapsulation: nil, pathMTU: 1400)
            builder.replaceOutbound(outbound[index], with: moved)
            outbound[index] = moved
        }
        if !inbound.isEmpty {
            let index = pick(inbound.count)
            let moved = try InboundSA(
                moving: inbound[index], source: address("192.0.2.9"), destination: address("192.0.2.1"),
                encapsulation: nil)
            builder.replaceInbound(inbound[index], with: moved)
            inbound[index] = moved
        }
    }

    func fromScratch() throws -> Snapshot {
        try SnapshotBuilder.snapshot(policies: policies.map(\.policy), outbound: outbound, inbound: inbound)
    }
}
