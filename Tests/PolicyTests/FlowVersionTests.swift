import IPsec
import Packets
import Telemetry
import Testing

@testable import Policy

/// Decisions that are remembered beyond the snapshot that made them.
@Suite("Remembered decisions hold exactly as long as their versions say")
struct FlowVersionTests {
    /// What a worker remembers about a packet, and by what it knows whether it still holds.
    private struct Remembered: Equatable {
        var policyAction: PolicyAction?
        var sa: UnsafeMutableRawPointer?
        var destination: IPAddress?
        var verdict: Verdict
        var version: UInt32
        var place: UInt16
    }

    private static func outbound(_ snapshot: Snapshot, _ flow: PacketSummary) -> Remembered? {
        let tables = snapshot.tables.pointee
        let decision = tables.outbound(flow, worker: 0)
        guard decision.action == .protect, let sa = decision.sa else { return nil }
        return Remembered(
            policyAction: decision.action, sa: UnsafeMutableRawPointer(sa), destination: decision.destination,
            verdict: decision.verdict, version: tables.flowVersions[Int(decision.versionPlace)],
            place: decision.versionPlace)
    }

    private static func inbound(_ snapshot: Snapshot, _ flow: PacketSummary, spi: SPI) -> Remembered? {
        let tables = snapshot.tables.pointee
        guard let sa = tables.inbound(spi: spi.networkOrder) else { return nil }
        // What its selectors refuse never gets to the policies.
        let selectors = snapshot.inboundAssociations.first { $0.parameters.spi == spi }?.parameters.selectors ?? []
        guard selectors.isEmpty || selectors.contains(where: { $0.matches(flow) }) else { return nil }
        let decision = tables.inboundPolicy(flow, spi: spi.networkOrder, isLocal: false)
        guard decision.verdict.reason == nil else { return nil }
        let place = tables.versionPlace(inboundSPI: spi.networkOrder, of: .esp)
        return Remembered(
            sa: UnsafeMutableRawPointer(sa), verdict: decision.verdict, version: tables.flowVersions[Int(place)],
            place: place)
    }

    private static func holds(_ remembered: Remembered, in snapshot: Snapshot) -> Bool {
        snapshot.tables.pointee.flowVersions[Int(remembered.place)] == remembered.version
    }

    /// Few addresses, many changes: each decision whose version has stayed is compared with what the tables say now.
    @Test("What is remembered is never another thing than what the tables say", arguments: 0..<12)
    func againstTables(seed: Int) throws {
        var world = ChangingWorld(seed: seed)
        let flows = try (0..<60).map { _ in try world.universe.flow() }
        var known: [Int: Remembered] = [:]
        var knownInbound: [Int: (spi: SPI, remembered: Remembered)] = [:]
        var held = 0
        for _ in 0..<150 {
            try world.change()
            if world.universe.random.chance(3) { world.builder.exhaustPolicyNumbers() }
            let snapshot = world.builder.build()
            for (index, flow) in flows.enumerated() {
                let fresh = Self.outbound(snapshot, flow)
                if let old = known[index], Self.holds(old, in: snapshot) {
                    #expect(fresh == old)
                    held += 1
                }
                known[index] = fresh
                if let (spi, old) = knownInbound[index], Self.holds(old, in: snapshot) {
                    #expect(Self.inbound(snapshot, flow, spi: spi) == old)
                    held += 1
                } else {
                    let spi = world.inbound.randomElement(using: &world.universe.random)?.parameters.spi ?? 0
                    knownInbound[index] = Self.inbound(snapshot, flow, spi: spi).map { (spi, $0) }
                }
            }
        }
        #expect(held > 50, "the others are found again: \(held)")
    }

    /// Two policies and their SAs, and what a change of the builder does to the flows of each.
    private struct TwoTunnels {
        let builder = SnapshotBuilder(workers: 1)
        let flows: [PacketSummary]
        let spis: [SPI] = [301, 302]
        var outbound: [OutboundSA] = []
        var inbound: [InboundSA] = []
        var tokens: [SnapshotBuilder.PolicyToken] = []
        let before: [Remembered]

        init() throws {
            for number in 1...2 {
                let away = try selector("10.0.0.0/16", "10.\(number).0.0/16")
                let id = UInt32(number)
                tokens.append(
                    try builder.addPolicy(
                        SecurityPolicy(selector: away, direction: .out, action: Fixture.protect(id), priority: 10)))
                tokens.append(
                    try builder.addPolicy(
                        SecurityPolicy(
                            selector: away.reversed, direction: .forward, action: Fixture.protect(id), priority: 10)))
                outbound.append(try Fixture.outbound(spi: 300 + id, requestID: id))
                inbound.append(try Fixture.inbound(spi: 300 + id, requestID: id, selectors: [away.reversed]))
                try builder.addOutbound(outbound[number - 1])
                try builder.addInbound(inbound[number - 1])
            }
            flows = try [
                Fixture.flow("10.0.0.1", "10.1.0.1"), Fixture.flow("10.0.0.1", "10.2.0.1"),
                Fixture.flow("10.1.0.1", "10.0.0.1"), Fixture.flow("10.2.0.1", "10.0.0.1"),
            ]
            let snapshot = builder.build()
            let found = [
                FlowVersionTests.outbound(snapshot, flows[0]), FlowVersionTests.outbound(snapshot, flows[1]),
                FlowVersionTests.inbound(snapshot, flows[2], spi: spis[0]),
                FlowVersionTests.inbound(snapshot, flows[3], spi: spis[1]),
            ]
            before = try found.map { try #require($0) }
        }

        /// The flows that are still known: out of tunnel 1, out of tunnel 2, in of tunnel 1, in of tunnel 2.
        var known: [Bool] {
            let snapshot = builder.build()
            return before.map { FlowVersionTests.holds($0, in: snapshot) }
        }
    }

    @Test("A change is felt by the flows that rest on it, and by no others")
    func exactly() throws {
        func after(_ change: (inout TwoTunnels) throws -> Void) throws -> [Bool] {
            var tunnels = try TwoTunnels()
            try change(&tunnels)
            return tunnels.known
        }
        #expect(try after { _ in } == [true, true, true, true])
        #expect(
            try after { try $0.builder.addOutbound(Fixture.outbound(spi: 400, requestID: 1)) } == [
                false, true, true, true,
            ])
        #expect(try after { $0.builder.removeOutbound($0.outbound[1]) } == [true, false, true, true])
        #expect(try after { $0.builder.removeInbound(spi: 301) } == [true, true, false, true])
        #expect(
            try after { try $0.builder.addInbound(Fixture.inbound(spi: 400, requestID: 1)) } == [
                true, true, true, true,
            ])
        #expect(try after { $0.builder.removePolicy($0.tokens[0]) } == [false, true, true, true])
        #expect(try after { $0.builder.removePolicy($0.tokens[3]) } == [true, true, true, false])
        func add(_ direction: SecurityPolicy.Direction, _ source: String, _ destination: String, priority: UInt32)
            throws
            -> [Bool]
        {
            try after {
                _ = try $0.builder.addPolicy(
                    SecurityPolicy(
                        selector: selector(source, destination), direction: direction, action: .discard,
                        priority: priority))
            }
        }
        #expect(try add(.out, "10.0.0.0/8", "10.1.0.0/24", priority: 5) == [false, true, true, true])
        #expect(try add(.out, "10.0.0.0/8", "10.1.0.0/24", priority: 20) == [true, true, true, true], "behind it")
        #expect(try add(.out, "10.0.0.0/8", "10.9.0.0/24", priority: 5) == [true, true, true, true])
        #expect(try add(.forward, "10.2.0.0/24", "10.0.0.0/8", priority: 5) == [true, true, true, false])
        #expect(try add(.in, "10.1.0.0/24", "10.0.0.0/8", priority: 5) == [true, true, false, true])
        #expect(try add(.out, "0.0.0.0/0", "0.0.0.0/0", priority: 5) == [false, false, true, true])
        #expect(try add(.forward, "0.0.0.0/0", "0.0.0.0/0", priority: 5) == [true, true, false, false])
        #expect(try after { $0.builder.setRoutes([]) } == [false, false, false, false])
        #expect(try after { $0.builder.setNeighbours([]) } == [true, true, true, true])
    }

    @Test("Versions of another builder, or behind the largest number of changes, are of another lineage")
    func lineages() throws {
        let one = SnapshotBuilder(workers: 1)
        let first = one.build()
        one.setRoutes([])
        let second = one.build()
        #expect(first.flowLineage == second.flowLineage)
        #expect(SnapshotBuilder(workers: 1).build().flowLineage != first.flowLineage)
        one.exhaustFlowVersions()
        #expect(one.build().flowLineage == first.flowLineage)
        one.setRoutes([])
        #expect(one.build().flowLineage != first.flowLineage)
    }

    @Test(
        "A policy that comes among 10,000 is compared with few others, and an SA's flows are found without a look at all"
    )
    func scale() throws {
        var index = SelectorIndex(by: .destination)
        for number in 0..<10_000 {
            let host = IPPrefix(host: IPAddress(ipv4: 0x0A00_0000 | UInt32(number)))
            index.insert(number, [TrafficSelector(source: .all(.ipv4), destination: host)])
        }
        let one = try #require(index.candidates(for: selector("0.0.0.0/0", "10.0.3.7/32")))
        #expect(one.count == 256 && one.contains(3 * 256 + 7))
        #expect(try index.candidates(for: selector("0.0.0.0/0", "0.0.0.0/0")) == nil)
        #expect(try index.candidates(for: selector("0.0.0.0/0", "10.9.0.0/16")) == [])
    }

    @Test("The index finds all that overlap", arguments: 0..<8)
    func index(seed: Int) throws {
        var universe = PolicyUniverse(seed: seed)
        for side in [SelectorIndex.Side.source, .destination] {
            var index = SelectorIndex(by: side)
            var entries: [Int: [TrafficSelector]] = [:]
            for number in 0..<200 {
                entries[number] = (0..<Int.random(in: 0...2, using: &universe.random)).map { _ in
                    universe.policy().selector
                }
                index.insert(number, entries[number] ?? [])
                if universe.random.chance(40), let gone = entries.keys.randomElement(using: &universe.random) {
                    index.remove(gone, entries[gone] ?? [])
                    entries[gone] = nil
                }
                let asked = universe.policy().selector
                let expected = entries.filter { $0.value.isEmpty || $0.value.contains { $0.overlaps(asked) } }.keys
                guard let found = index.candidates(for: asked) else { continue }
                #expect(found.isSuperset(of: expected) && found.isSubset(of: entries.keys))
            }
        }
    }
}

@Suite("Next hops that are named by their index")
struct NeighbourNumberTests {
    private static func entry(_ host: UInt32, _ mac: UInt64 = 1) -> NeighbourEntry {
        NeighbourEntry(
            interfaceIndex: 3, address: IPAddress(ipv4: 0x0A00_0000 | host), state: .resolved(MACAddress(mac)))
    }

    @Test("A neighbour keeps its index when others come and go, and when it is gone itself it is unresolved")
    func indices() throws {
        let builder = SnapshotBuilder(workers: 1)
        builder.setInterfaces([PortInterface(interfaceIndex: 3, port: 0, linkAddress: MACAddress(9))])
        builder.setRoutes([
            RouteEntry(prefix: try prefix("10.0.0.0/8"), kind: .unicast(interfaceIndex: 3, gateway: nil)),
            RouteEntry(
                prefix: try prefix("0.0.0.0/0"), kind: .unicast(interfaceIndex: 3, gateway: try address("10.0.0.2"))),
        ])
        builder.setNeighbours([Self.entry(1), Self.entry(2)])
        let first = builder.build()
        let (host, far) = (try address("10.0.0.1"), try address("192.0.2.1"))
        func index(_ snapshot: Snapshot, _ to: IPAddress) -> UInt32 {
            withExtendedLifetime(snapshot) { $0.tables.pointee.index(of: $0.tables.pointee.route(to: to)) }
        }
        let indices = [host, far].map { index(first, $0) }
        func hops(_ snapshot: Snapshot) -> [NextHop] {
            withExtendedLifetime(snapshot) { snapshot in indices.map { snapshot.tables.pointee.nextHops[Int($0)] } }
        }
        func mayBeRemembered(_ snapshot: Snapshot, _ to: IPAddress) -> Bool {
            withExtendedLifetime(snapshot) { $0.tables.pointee.route(to: to).pointee.mayBeRemembered }
        }
        #expect(hops(first).map(\.state) == [.resolved, .resolved])
        #expect(!mayBeRemembered(first, try address("10.0.0.7")))

        builder.setNeighbours([Self.entry(7), Self.entry(2, 0x0000_0000_0044), Self.entry(1)])
        let second = builder.build()
        #expect([host, far].map { index(second, $0) } == indices)
        #expect(hops(second)[1].header0 != hops(first)[1].header0, "its new address")
        #expect(mayBeRemembered(second, try address("10.0.0.7")))
        builder.setNeighbours([Self.entry(7)])
        let third = builder.build()
        #expect(hops(third).map(\.state) == [.unresolved, .unresolved])
        #expect(hops(third).map(\.address) == [host, try address("10.0.0.2")])
        builder.setNeighbours([Self.entry(1), Self.entry(7)])
        let fourth = builder.build()
        #expect(index(fourth, host) == indices[0] && hops(fourth)[0].isResolved)
        for snapshot in [first, second, third, fourth] {
            #expect(snapshot.firstFlowVersion == first.firstFlowVersion)
        }
    }

    @Test("Numbers are given away again when most are unused, which ends all decisions")
    func renumbering() {
        var numbers = NeighbourNumbers()
        var renumbered = 0
        for round in 0..<1000 as Range<UInt32> {
            if numbers.follow([Self.entry(round), Self.entry(round + 1)]) { renumbered += 1 }
            #expect(numbers.keys.count <= 70)
            for host in [round, round + 1] {
                let number = numbers[NeighbourNumbers.Key(Self.entry(host))]
                #expect(number.map { numbers.keys[$0].address } == Self.entry(host).address)
            }
        }
        #expect((10...20).contains(renumbered), "\(renumbered)")

        let builder = SnapshotBuilder(workers: 1)
        builder.setNeighbours((0..<100).map { Self.entry($0) })
        let before = builder.build()
        builder.setNeighbours([Self.entry(1)])
        #expect(builder.build().firstFlowVersion != before.firstFlowVersion)
    }
}

// Tables live as long as their snapshot, which an optimiser lets go as soon as nobody names it any more.
extension Snapshot {
    fileprivate var flowLineage: UInt64 { withExtendedLifetime(self) { $0.tables.pointee.flowLineage } }
    fileprivate var firstFlowVersion: UInt32 { withExtendedLifetime(self) { $0.tables.pointee.flowVersions[0] } }
}
