import IPsec
import Packets
import Telemetry
import Testing

@testable import Policy

@Suite("Security policy lookup")
struct PolicyLookupTests {
    @Test("Random databases give what a plain list gives", arguments: 0..<60)
    func model(seed: Int) throws {
        var universe = PolicyUniverse(seed: seed)
        let policies = (0..<[1, 5, 40, 200][seed % 4]).map { _ in universe.policy() }
        let snapshot = try SnapshotBuilder.snapshot(policies: policies)
        let ordered = snapshot.policies.map(\.policy)
        let model = PolicyModel(policies: policies)
        var steps = NoSteps()
        for _ in 0..<500 {
            let flow = try universe.flow()
            for direction in SecurityPolicy.Direction.allCases {
                let index = snapshot.tables.pointee.findPolicy(direction.number, flow, steps: &steps)
                let found = index == TupleSpace.notFound ? nil : ordered[Int(index)]
                switch model.answer(direction, flow) {
                case .nothing: #expect(found == nil, "\(flow)")
                case .policy(let policy): #expect(found == policy, "\(flow)")
                case .ambiguous:
                    #expect(found.map { !$0.selector.isAnyPort } == true, "\(flow)")
                    if direction == .out {
                        #expect(snapshot.tables.pointee.outbound(flow, worker: 0).action == .needsReassembly)
                    }
                }
            }
        }
    }

    @Test("Priority, then longer prefixes, then the order of the configuration")
    func precedence() throws {
        let wide = SecurityPolicy(
            selector: try selector("10.0.0.0/8", "10.0.0.0/8"), direction: .out, action: .bypass, priority: 5,
            name: "wide")
        var narrow = wide
        narrow.selector = try selector("10.1.0.0/16", "10.0.0.0/8")
        narrow.name = "narrow"
        var second = narrow
        second.name = "second"
        var urgent = wide
        urgent.priority = 4
        urgent.name = "urgent"
        let names = try SnapshotBuilder.snapshot(policies: [wide, narrow, second, urgent]).policies.map(\.policy.name)
        #expect(names == ["urgent", "narrow", "second", "wide"])
    }

    @Test("What a peer has narrowed goes before what has its priority, and before nothing else")
    func narrowed() throws {
        func policy(_ destination: String, _ priority: UInt32, isNarrowed: Bool = false) throws -> SecurityPolicy {
            SecurityPolicy(
                selector: try selector("10.0.0.0/8", destination), direction: .out, action: .bypass,
                priority: priority, isNarrowed: isNarrowed)
        }
        let configured = try policy("10.2.0.0/16", 7)
        let sibling = try policy("10.2.1.0/24", 7)
        let narrower = try policy("10.2.0.0/16", 6)
        let narrowed = try policy("10.2.0.0/15", 7, isNarrowed: true)
        func first(_ policies: [SecurityPolicy]) throws -> SecurityPolicy? {
            let snapshot = try SnapshotBuilder.snapshot(policies: policies)
            let decision = snapshot.tables.pointee.outbound(try Fixture.flow("10.1.0.1", "10.2.1.1"), worker: 0)
            return snapshot.policy(at: decision.policyIndex)?.policy
        }
        #expect(try first([configured, sibling, narrowed]) == narrowed)
        #expect(try first([configured, narrower, narrowed]) == narrower)
        #expect(try first([configured, sibling]) == sibling)
    }

    @Test(
        "Each action has its verdict",
        arguments: [
            (SecurityPolicy.Action.bypass, PolicyAction.bypass, Verdict.pass),
            (.discard, .discard, .drop(.notEncryptedByPolicy)),
            (.protect(.init(requestID: 9)), .protect, .drop(.noOutboundSA)),
        ])
    func actions(action: SecurityPolicy.Action, expected: PolicyAction, verdict: Verdict) throws {
        let policy = SecurityPolicy(selector: .any(.ipv4), direction: .out, action: action)
        let snapshot = try SnapshotBuilder.snapshot(policies: [policy])
        let decision = snapshot.tables.pointee.outbound(try Fixture.flow("10.0.0.1", "10.0.0.2"), worker: 1)
        #expect(decision.action == expected && decision.verdict == verdict)
        #expect(decision.policyIndex == 0 && decision.sa == nil && decision.owner == 1)
        let other = snapshot.tables.pointee.outbound(try Fixture.flow("2001:db8::1", "2001:db8::2"), worker: 1)
        #expect(other.action == .none && other.verdict == .drop(.noPolicy))
        #expect(other.policyIndex == OutboundDecision.noPolicy)
    }

    @Test(
        "A later fragment never falls through to a policy that might not be its own",
        arguments: [AddressFamily.ipv4, .ipv6])
    func fragments(family: AddressFamily) throws {
        let web = TrafficSelector(
            source: .any(family), destination: .any(family), protocol: IPProtocol.tcp, destinationPorts: 443...443)
        let policies = [
            SecurityPolicy(selector: web, direction: .out, action: .protect(.init(requestID: 1)), priority: 1),
            SecurityPolicy(selector: .any(family), direction: .out, action: .bypass, priority: 2),
        ]
        let tables = try SnapshotBuilder.snapshot(policies: policies)
        let end = family == .ipv4 ? IPAddress(ipv4: 0x0A00_0001) : IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: 1)
        let tcp = try Fixture.laterFragment(source: end, destination: end, protocol: IPProtocol.tcp)
        let udp = try Fixture.laterFragment(source: end, destination: end, protocol: IPProtocol.udp)
        let decision = tables.tables.pointee.outbound(tcp, worker: 0)
        #expect(decision.action == .needsReassembly && decision.verdict == .drop(.fragmentNeedsReassembly))
        #expect(tables.tables.pointee.outbound(udp, worker: 0).action == .bypass)
    }

    @Test("Policies count packets per worker and keep their counts over snapshots")
    func counters() throws {
        let kept = SecurityPolicy(
            selector: try selector("10.0.0.0/8", "10.0.0.0/8"), direction: .out, action: .bypass, name: "kept")
        let gone = SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .discard, name: "gone")
        let builder = SnapshotBuilder(workers: 2)
        try builder.setPolicies([gone, kept])
        let first = builder.build()
        let index = first.tables.pointee.outbound(try Fixture.flow("10.0.0.1", "10.0.0.2"), worker: 0).policyIndex
        first.tables.pointee.count(policyIndex: index, worker: 0, packets: 2, bytes: 100)
        first.tables.pointee.count(policyIndex: index, worker: 1, packets: 1, bytes: 50)
        first.tables.pointee.count(policyIndex: OutboundDecision.noPolicy, worker: 1, packets: 1, bytes: 1)
        first.tables.pointee.count(policyIndex: index, worker: 2, packets: 1, bytes: 1)
        #expect(first.policies.map(\.packets) == [3, 0] && first.policies.map(\.bytes) == [150, 0])
        try builder.setPolicies([kept, kept])
        let second = builder.build()
        #expect(second.policies.map(\.packets) == [3, 0])
        #expect(second.policies.map(\.policy.name) == ["kept", "kept"])
    }
}

@Suite("Peers that may narrow, and neighbours' addresses, do not make lookups slow")
struct HostileKeyTests {
    /// Selectors of 5,000 different masks, as a peer can narrow a wide remote_ts to: lookups of others ask a few hundred tables
    /// at most.
    @Test("Masks are few whatever networks there are", arguments: [AddressFamily.ipv4, .ipv6])
    func masks(family: AddressFamily) throws {
        let width = family == .ipv4 ? 32 : 128
        let zero = family == .ipv4 ? IPAddress(ipv4: 0x0A00_0000) : IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: 0)
        var policies: [SecurityPolicy] = []
        // 25 lengths of either side.
        let lengths = stride(from: 8, through: width, by: (width - 8) / 24)
        for source in lengths {
            for destination in lengths {
                for kind in 0..<8 {
                    policies.append(
                        SecurityPolicy(
                            selector: TrafficSelector(
                                source: AddressRange(IPPrefix(address: zero, length: source)),
                                destination: AddressRange(IPPrefix(address: zero, length: destination)),
                                protocol: kind & 4 == 0 ? nil : IPProtocol.tcp,
                                sourcePorts: kind & 1 == 0 ? TrafficSelector.anyPort : 7...7,
                                destinationPorts: kind & 2 == 0 ? TrafficSelector.anyPort : 9...9),
                            direction: .out, action: .bypass))
                }
            }
        }
        #expect(policies.count == 5000)
        let snapshot = try SnapshotBuilder.snapshot(policies: policies)
        #expect(snapshot.tupleCount(.out, family) <= 81 * 8)
        let other = family == .ipv4 ? IPAddress(ipv4: 0xC000_0201) : IPAddress(ipv6High: 0xFD00_0000_0000_0000, low: 1)
        let flow = PacketSummary(source: other, destination: other, upperProtocol: IPProtocol.udp)
        var steps = CountedSteps()
        #expect(snapshot.tables.pointee.findPolicy(TupleSpace.out, flow, steps: &steps) == TupleSpace.notFound)
        #expect(steps.tuples <= 81 * 8)
        let clock = ContinuousClock()
        let time = clock.measure {
            for _ in 0..<1000 { _ = snapshot.tables.pointee.outbound(flow, worker: 0) }
        }
        print("a miss with \(policies.count) masks of IPv\(family.rawValue): \(time / 1000)")
    }

    /// Addresses whose hashes meet in one process do not in the next one: here those that met when the hash had no seed.
    @Test("Nobody can choose neighbours that meet in one place")
    func neighbours() {
        func unseeded(_ low: UInt64, _ high: UInt64, _ interface: UInt64) -> UInt64 {
            let second = high &* 0xC2B2_AE3D_27D4_EB4F
            let word =
                low &* 0x9E37_79B9_7F4A_7C15 ^ (second << 31 | second >> 33) ^ interface &* 0x1656_67B1_9E37_79F9
            let mixed = (word ^ word >> 32) &* 0xD6E8_FEB8_6659_FD93
            return mixed ^ mixed >> 32
        }
        let high: UInt64 = 0x2001_0DB8_0001_0000
        var chosen: [NeighbourEntry] = []
        var low: UInt64 = 0
        while chosen.count < 500 {
            low += 1
            guard unseeded(low, high, 3) & 0x3FF == 0 else { continue }
            chosen.append(
                NeighbourEntry(
                    interfaceIndex: 3, address: IPAddress(ipv6High: high, low: low), state: .resolved(MACAddress(2))))
        }
        let interface = PortInterface(interfaceIndex: 3, port: 0, linkAddress: MACAddress(1), mtu: 1500)
        let tables = NeighbourTables(chosen, interfaces: [3: interface])
        var steps = CountedSteps()
        for entry in chosen { _ = tables.table.find(entry.address, interfaceIndex: 3, steps: &steps) }
        #expect(steps.entries < 500 * 4, "\(steps.entries) comparisons for 500 neighbours")
    }
}

@Suite("10,000 policies stay fast: steps of a lookup, not time")
struct PolicyScaleTests {
    private static let count = 10_000

    enum Shape: CaseIterable {
        case networks, hosts, ports, mixedLengths, ipv6Networks, priorities
    }

    private func policies(_ shape: Shape) throws -> [SecurityPolicy] {
        try (0..<Self.count).map { number in
            let base = UInt32(number)
            let v4 = { (bits: UInt32, length: Int) in IPPrefix(address: IPAddress(ipv4: bits), length: length) }
            var source = v4(0x0A00_0000, 8)
            var destination = v4(0x1400_0000 + base << 8, 24)
            var ports = TrafficSelector.anyPort
            var priority: UInt32 = 0
            switch shape {
            case .networks: break
            case .hosts: (source, destination) = (v4(0x0A00_0000 + base, 32), v4(0x1400_0000 + base, 32))
            case .ports:
                destination = v4(0x1400_0000, 24)
                ports = UInt16(number)...UInt16(number)
            case .mixedLengths: destination = v4(0x1400_0000 + base << 12, 20 + number % 13)
            case .ipv6Networks:
                source = try prefix("2001:db8::/32")
                destination = IPPrefix(
                    address: IPAddress(ipv6High: 0x2002_0000_0000_0000 + UInt64(base) << 16, low: 0), length: 48)
            case .priorities: priority = base
            }
            return SecurityPolicy(
                selector: TrafficSelector(
                    source: AddressRange(source), destination: AddressRange(destination),
                    protocol: shape == .ports ? IPProtocol.tcp : nil,
                    destinationPorts: ports), direction: .out, action: .bypass, priority: priority)
        }
    }

    @Test("Few hash tables, short buckets", arguments: Shape.allCases)
    func steps(shape: Shape) throws {
        let policies = try policies(shape)
        let snapshot = try SnapshotBuilder.snapshot(policies: policies)
        let family = policies[0].selector.family
        let tuples = shape == .mixedLengths ? 4 : 1
        #expect(snapshot.tupleCount(.out, family) == tuples)
        var total = CountedSteps()
        var worst = 0
        var wrong = 0
        for policy in policies {
            let flow = PacketSummary(
                source: policy.selector.source.last, destination: policy.selector.destination.last,
                upperProtocol: IPProtocol.tcp,
                sourcePort: 1, destinationPort: policy.selector.destinationPorts.lowerBound)
            var steps = CountedSteps()
            let index = snapshot.tables.pointee.findPolicy(TupleSpace.out, flow, steps: &steps)
            if index == TupleSpace.notFound || steps.tuples > tuples { wrong += 1 }
            total.entries += steps.entries
            worst = max(worst, steps.entries)
        }
        // Half of the buckets have an entry, so a table without the right one costs half a comparison.
        #expect(2 * total.entries < (tuples + 3) * Self.count)
        #expect(worst <= 12 + tuples && wrong == 0)
    }

    @Test("A miss is as cheap")
    func miss() throws {
        let snapshot = try SnapshotBuilder.snapshot(policies: policies(.networks))
        var entries = 0
        var hits = 0
        for number in 0..<Self.count {
            var steps = CountedSteps()
            let flow = PacketSummary(
                source: IPAddress(ipv4: 0x0A00_0001), destination: IPAddress(ipv4: 0x5000_0000 + UInt32(number) << 8),
                upperProtocol: IPProtocol.tcp)
            if snapshot.tables.pointee.findPolicy(TupleSpace.out, flow, steps: &steps) != TupleSpace.notFound {
                hits += 1
            }
            entries += steps.entries
        }
        #expect(entries < Self.count && hits == 0)
    }

    @Test("A better policy in an early table spares the later ones")
    func earlyEnd() throws {
        var policies = try policies(.mixedLengths)
        for index in policies.indices { policies[index].priority = 10 }
        policies.append(SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .discard, priority: 1))
        let snapshot = try SnapshotBuilder.snapshot(policies: policies)
        var steps = CountedSteps()
        let flow = try Fixture.flow("10.0.0.1", "20.0.0.1")
        #expect(snapshot.tables.pointee.findPolicy(TupleSpace.out, flow, steps: &steps) == 0)
        #expect(steps.tuples == 1 && steps.entries == 1)
    }
}
