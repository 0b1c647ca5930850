import IPsec
import Packets
import Telemetry
import Testing

@testable import Policy

/// RFC 4301 section 5.2, with the answers that Linux gives (`XfrmInNoPols`, `XfrmInTmplMismatch`, `XfrmInPolBlock`).
@Suite("Inbound policy check after decryption")
struct InboundPolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// What the SA has: request id 1, 192.0.2.2 -> 192.0.2.1.
        var hasSelectors = false
        var direction = SecurityPolicy.Direction.forward
        /// nil: no policy.
        var action: SecurityPolicy.Action?
        var covers = true
        var isLocal = false
        var expected: Verdict
    }

    static func protect(_ requestID: UInt32, swapped: Bool = false) -> SecurityPolicy.Action {
        let peer = IPAddress(ipv4: 0xC000_0202)
        let own = IPAddress(ipv4: 0xC000_0201)
        return .protect(.init(requestID: requestID, source: swapped ? own : peer, destination: swapped ? peer : own))
    }

    static let cases: [Case] = [
        Case(testDescription: "nothing configured", action: nil, expected: .drop(.noInboundPolicy)),
        Case(testDescription: "selectors only", hasSelectors: true, action: nil, expected: .pass),
        Case(
            testDescription: "selectors only, to the host", hasSelectors: true, action: nil, isLocal: true,
            expected: .pass),
        Case(testDescription: "policy of the SA", action: protect(1), expected: .pass),
        Case(
            testDescription: "policy of the SA and selectors", hasSelectors: true, action: protect(1), expected: .pass),
        Case(testDescription: "template without a request id", action: protect(0), expected: .pass),
        Case(testDescription: "template without endpoints", action: .protect(.init(requestID: 1)), expected: .pass),
        Case(
            testDescription: "template of another request id", action: protect(2),
            expected: .drop(.inboundProtectionMismatch)),
        Case(
            testDescription: "another request id, and selectors", hasSelectors: true, action: protect(2),
            expected: .drop(.inboundProtectionMismatch)),
        Case(
            testDescription: "endpoints exchanged", action: protect(1, swapped: true),
            expected: .drop(.inboundProtectionMismatch)),
        Case(
            testDescription: "bypass does not authorise a tunnel", action: .bypass,
            expected: .drop(.inboundProtectionMismatch)),
        Case(testDescription: "discard", hasSelectors: true, action: .discard, expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "policy for other traffic", action: protect(1), covers: false,
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "a policy names the SA, so its selectors do not suffice", hasSelectors: true,
            action: protect(1), covers: false,
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "a policy that names another SA leaves the selectors in force", hasSelectors: true,
            action: protect(2), covers: false,
            expected: .pass),
        Case(
            testDescription: "a template without request id names the SA", hasSelectors: true, action: protect(0),
            covers: false,
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "fwd does not speak for the host", action: protect(1), isLocal: true,
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "in speaks for the host", direction: .in, action: protect(1), isLocal: true,
            expected: .pass),
        Case(
            testDescription: "in does not speak for forwarded packets", direction: .in, action: protect(1),
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "out does not count", direction: .out, action: protect(1),
            expected: .drop(.noInboundPolicy)),
        Case(
            testDescription: "out does not name an SA", hasSelectors: true, direction: .out, action: protect(1),
            expected: .pass),
    ]

    @Test("Rules", arguments: cases)
    func rules(_ item: Case) throws {
        let traffic = try selector("10.2.0.0/16", "10.1.0.0/16")
        let association = try Fixture.inbound(spi: 300, selectors: item.hasSelectors ? [traffic] : [])
        let covered = item.covers ? traffic : try selector("10.9.0.0/16", "10.1.0.0/16")
        let policies =
            item.action.map { [SecurityPolicy(selector: covered, direction: item.direction, action: $0)] } ?? []
        let snapshot = try SnapshotBuilder.snapshot(policies: policies, inbound: [association])
        let flow = try Fixture.flow("10.2.0.1", "10.1.0.1")
        let decision = snapshot.tables.pointee.inboundPolicy(flow, spi: SPI(300).networkOrder, isLocal: item.isLocal)
        #expect(decision.verdict == item.expected)
    }

    @Test("An SA cannot carry what a higher policy wants from another SA")
    func spoofing() throws {
        let associations = [try Fixture.inbound(spi: 300, requestID: 1), try Fixture.inbound(spi: 301, requestID: 2)]
        let policies = [
            SecurityPolicy(
                selector: try selector("10.2.0.0/16", "10.1.0.0/16"), direction: .forward, action: Self.protect(1)),
            SecurityPolicy(selector: .any(.ipv4), direction: .forward, action: Self.protect(2)),
        ]
        let snapshot = try SnapshotBuilder.snapshot(policies: policies, inbound: associations)
        let flow = try Fixture.flow("10.2.0.1", "10.1.0.1")
        let other = try Fixture.flow("10.3.0.1", "10.1.0.1")
        let check = { (flow: PacketSummary, spi: SPI) in
            snapshot.tables.pointee.inboundPolicy(flow, spi: spi.networkOrder, isLocal: false)
        }
        #expect(check(flow, 300).verdict == .pass && check(flow, 300).policyIndex == 0)
        #expect(check(flow, 301).verdict == .drop(.inboundProtectionMismatch))
        #expect(check(other, 301).verdict == .pass && check(other, 301).policyIndex == 1)
        #expect(check(other, 300).verdict == .drop(.inboundProtectionMismatch))
        #expect(check(flow, 302).verdict == .drop(.saRetired))
    }

    @Test("A policy of several tunnels takes packets from each of them, and from no other one")
    func alternatives() throws {
        let associations = try (1...4).map { try Fixture.inbound(spi: 300 + $0, requestID: $0) }
        let builder = SnapshotBuilder(workers: 1)
        for association in associations { try builder.addInbound(association) }
        let policy = SecurityPolicy(
            selector: .any(.ipv4), direction: .forward,
            action: .protect(.init(requestID: 3, alternatives: [1, 4])))
        let token = try builder.addPolicy(policy)
        func taken() throws -> [UInt32] {
            let tables = builder.build()
            let flow = try Fixture.flow("10.2.0.1", "10.1.0.1")
            return (1...4).filter {
                tables.tables.pointee.inboundPolicy(flow, spi: (300 + $0).bigEndian, isLocal: false).verdict == .pass
            }
        }
        #expect(try taken() == [1, 3, 4])
        var changed = policy
        changed.action = .protect(.init(requestID: 1))
        builder.replacePolicy(token, with: changed)
        #expect(try taken() == [1])
        changed.action = .protect(.init(requestID: 1, alternatives: [2]))
        builder.replacePolicy(token, with: changed)
        #expect(try taken() == [1, 2])
        builder.removePolicy(token)
        #expect(try taken() == [])
    }

    @Test("A later fragment is refused where ports would decide", arguments: [true, false])
    func fragments(hasPorts: Bool) throws {
        let traffic = TrafficSelector(
            source: .any(.ipv4), destination: .any(.ipv4), protocol: IPProtocol.udp,
            sourcePorts: hasPorts ? 53...53 : TrafficSelector.anyPort)
        let policy = SecurityPolicy(selector: traffic, direction: .forward, action: Self.protect(1))
        let snapshot = try SnapshotBuilder.snapshot(policies: [policy], inbound: [Fixture.inbound(spi: 300)])
        let flow = try Fixture.laterFragment(
            source: address("10.2.0.1"), destination: address("10.1.0.1"), protocol: IPProtocol.udp)
        let decision = snapshot.tables.pointee.inboundPolicy(flow, spi: SPI(300).networkOrder, isLocal: false)
        #expect(decision.verdict == (hasPorts ? .drop(.fragmentNeedsReassembly) : .pass))
    }
}

@Suite("Inbound SAs by SPI")
struct SPITableTests {
    enum Numbering: CaseIterable {
        case ascending, strided, random
    }

    @Test(
        "Every SA is found near its place, every other SPI is not", arguments: Numbering.allCases, [0, 1, 3, 100, 3000])
    func find(numbering: Numbering, count: Int) throws {
        var random = SeededGenerator(seed: count)
        var spis = Set<UInt32>()
        while spis.count < count {
            switch numbering {
            case .ascending: spis.insert(UInt32(spis.count) + 256)
            case .strided: spis.insert(UInt32(spis.count + 1) << 16)
            case .random: spis.insert(UInt32.random(in: 256 ... .max, using: &random))
            }
        }
        let associations = try spis.map { try Fixture.inbound(spi: SPI($0)) }
        let tables = SPITables()
        for (index, association) in associations.enumerated() {
            tables.set(.esp, association.parameters.spi.networkOrder, link: index, sa: association.runtime)
        }
        let capacity = (Int(tables.table.lineMask) + 1) * 4
        #expect(capacity >= 2 * count && capacity <= max(4, 8 * count))
        var lines = 0
        for association in associations {
            var steps = CountedSteps()
            let entry = tables.table.find(.esp, association.parameters.spi.networkOrder, steps: &steps)
            #expect(entry.pointee.sa == association.runtime)
            #expect(steps.tuples <= 8)
            lines += steps.tuples
        }
        #expect(lines * 100 <= count * 125, "five in four lookups at most touch a second cache line")
        let snapshot = try SnapshotBuilder.snapshot(inbound: associations)
        for _ in 0..<1000 {
            let spi = UInt32.random(in: 0 ... .max, using: &random)
            let expected = associations.first { $0.parameters.spi == SPI(spi) }?.runtime
            snapshot.tables.pointee.prefetchInbound(spi: spi.bigEndian)
            #expect(snapshot.tables.pointee.inbound(spi: spi.bigEndian) == expected)
        }
        #expect(snapshot.tables.pointee.inbound(spi: 0) == nil)
    }

    @Test("After removals every SA that is left is found, and nothing else", arguments: 0..<6)
    func removal(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let tables = SPITables()
        // So few SPIs that lines are full and lookups go on to the next ones, round the end of the table too.
        let associations = try (0..<40).map { try Fixture.inbound(spi: 256 + UInt32($0)) }
        var present: Set<Int> = []
        for step in 0..<1200 {
            let index = Int.random(in: 0..<associations.count, using: &random)
            let spi = associations[index].parameters.spi.networkOrder
            if random.chance(step / 200 % 2 == 0 ? 70 : 30) {
                tables.set(.esp, spi, link: index, sa: associations[index].runtime)
                present.insert(index)
            } else {
                tables.remove(.esp, spi)
                present.remove(index)
            }
            #expect(tables.count == present.count)
            var wrong = 0
            for (index, association) in associations.enumerated() {
                var steps = NoSteps()
                let entry = tables.table.find(.esp, association.parameters.spi.networkOrder, steps: &steps).pointee
                let expected = present.contains(index) ? association.runtime : nil
                if entry.sa != expected || expected != nil && entry.link != UInt32(index) { wrong += 1 }
            }
            #expect(wrong == 0)
        }
    }

    @Test("AH and ESP SAs with one SPI are two entries, which come and go by themselves", arguments: [1, 30])
    func protocols(count: Int) throws {
        let esp = try (0..<count).map { try Fixture.inbound(spi: 256 + UInt32($0)) }
        let ah = try (0..<count).map { try Fixture.inbound(spi: 256 + UInt32($0)) }
        let tables = SPITables()
        func found(_ securityProtocol: SAProtocol) -> [UnsafeMutablePointer<InboundRuntime>?] {
            esp.map { association in
                var steps = NoSteps()
                let spi = association.parameters.spi.networkOrder
                return tables.table.find(securityProtocol, spi, steps: &steps).pointee.sa
            }
        }
        for (index, pair) in zip(esp, ah).enumerated() {
            let spi = pair.0.parameters.spi.networkOrder
            tables.set(.esp, spi, link: 2 * index, sa: pair.0.runtime)
            #expect(found(.ah)[index] == nil)
            tables.set(.ah, spi, link: 2 * index + 1, sa: pair.1.runtime)
        }
        #expect(tables.count == 2 * count)
        #expect(found(.esp) == esp.map(\.runtime) && found(.ah) == ah.map(\.runtime))
        for association in esp { tables.remove(.esp, association.parameters.spi.networkOrder) }
        #expect(tables.count == count)
        #expect(found(.esp).allSatisfy { $0 == nil } && found(.ah) == ah.map(\.runtime))
    }

    @Test("The register has an AH and an ESP SA of one SPI in two slots")
    func registeredProtocols() throws {
        var register = InboundRegister()
        let (esp, ah) = (SAKey(.esp, spi: 300), SAKey(.ah, spi: 300))
        let associations = (try Fixture.inbound(spi: 300), try Fixture.inbound(spi: 300))
        register.add(associations.0, as: esp)
        #expect(register.has(esp) && !register.has(ah))
        register.add(associations.1, as: ah)
        #expect(register.members.compactMap { $0?.key } == [esp, ah])
        #expect(register.remove(esp) && !register.remove(esp))
        #expect(!register.has(esp) && register.has(ah))
        #expect(
            register.members.compactMap { $0?.association }.map(ObjectIdentifier.init) == [
                ObjectIdentifier(associations.1)
            ])
        let builder = SnapshotBuilder(workers: 1)
        try builder.addInbound(associations.0)
        #expect(builder.hasInbound(spi: 300) && !builder.hasInbound(spi: 300, of: .ah))
        withExtendedLifetime(builder.build()) { snapshot in
            let tables = snapshot.tables
            #expect(tables.pointee.inbound(spi: UInt32(300).bigEndian) == associations.0.runtime)
            #expect(tables.pointee.inbound(spi: UInt32(300).bigEndian, of: .ah) == nil)
        }
        #expect(!builder.removeInbound(spi: 300, of: .ah) && builder.removeInbound(spi: 300))
    }

    @Test("SPIs are unique, also after removal and return")
    func duplicates() throws {
        let builder = SnapshotBuilder(workers: 1)
        try builder.addInbound(Fixture.inbound(spi: 300))
        #expect(throws: PolicyError.duplicateSPI(300)) { try builder.addInbound(Fixture.inbound(spi: 300)) }
        #expect(builder.removeInbound(spi: 300) && !builder.removeInbound(spi: 300))
        let again = try Fixture.inbound(spi: 300)
        try builder.addInbound(again)
        let snapshot = builder.build()
        #expect(snapshot.tables.pointee.inbound(spi: SPI(300).networkOrder) == again.runtime)
    }

    @Test("An SA has to belong to a worker", arguments: [2, 100])
    func owners(owner: Int) throws {
        let builder = SnapshotBuilder(workers: 2)
        #expect(throws: PolicyError.ownerOutOfRange(spi: 300, owner: owner, workers: 2)) {
            try builder.addInbound(Fixture.inbound(spi: 300, owner: owner))
        }
        #expect(throws: PolicyError.ownerOutOfRange(spi: 300, owner: owner, workers: 2)) {
            try builder.addOutbound(Fixture.outbound(spi: 300, owner: owner))
        }
    }

    @Test("A template's endpoints are of one family")
    func families() throws {
        let policy = SecurityPolicy(
            selector: .any(.ipv4), direction: .out, action: try Fixture.protect(1, "192.0.2.1", "2001:db8::1"))
        #expect(throws: PolicyError.mixedFamilies(policy: policy.description)) {
            try SnapshotBuilder(workers: 1).setPolicies([policy])
        }
    }
}
