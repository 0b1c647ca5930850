import CLibBPF
import Packets
import TestSupport
import Testing
import XDP

/// The real program in the real kernel, run by the kernel's program test run.
@Suite struct SteeringTests {
    private static let drop: UInt32 = 1
    private static let pass: UInt32 = 2
    private static let redirect: UInt32 = 4

    private static func isRedirect(_ verdict: SteeringVerdict) -> Bool { verdict.name.hasPrefix("socket-") }

    private static func action(_ verdict: SteeringVerdict) -> UInt32 {
        isRedirect(verdict) ? redirect : verdict.name.hasPrefix("drop-") ? drop : pass
    }

    /// One counter is one, all others are zero.
    private static func only(_ verdict: SteeringVerdict) -> [UInt64] {
        SteeringVerdict.allCases.map { $0 == verdict ? 1 : 0 }
    }

    @Test func everyDecision() throws {
        let fixture = try SteeringFixture()
        var runs = CaseRuns()
        for example in SteeringCase.all {
            let (action, counted) = try runs.run(example) { try fixture.program($0) }
            #expect(action == Self.action(example.verdict), "\(example)")
            #expect(counted == Self.only(example.verdict), "\(example): \(Self.names(counted))")
        }
    }

    /// Without a socket on the queue the host gets what it gets with one, and nothing more.
    @Test func withoutASocketNothingElsePasses() throws {
        let fixture = try SteeringFixture()
        var runs = CaseRuns()
        for example in SteeringCase.all {
            let expected = Self.isRedirect(example.verdict) ? .dropNoSocket : example.verdict
            let (action, counted) = try runs.run(example) { try fixture.program($0, socket: false) }
            #expect(action == Self.action(expected), "\(example)")
            #expect(counted == Self.only(expected), "\(example)")
        }
    }

    /// As long as the rules are not complete, nothing passes that one of them may be about.
    @Test func closedTablesDropWhatNoRuleTakes() throws {
        let fixture = try SteeringFixture()
        let closed = try SteeringTables()
        let own = ["203.0.113.1", "10.1.0.1", "192.168.20.1", "2001:db8::1", "2001:db8:10::ffff", "fe80::1"]
        try closed.setLocalAddresses(Set(own.compactMap { IPAddress($0) }))
        #expect(closed.isClosed)
        var runs = CaseRuns()
        let passing: Set<SteeringVerdict> = [
            .passForeign, .passNotIP, .passGroup, .passIKE, .passKeepalive, .passMalformed,
        ]
        for example in SteeringCase.all where Self.action(example.verdict) == Self.pass {
            let (action, counted) = try runs.run(example) { try fixture.program($0, tables: closed) }
            let isDropped = counted == Self.only(.dropClosed)
            #expect(action == (isDropped ? Self.drop : Self.pass), "\(example)")
            if passing.contains(example.verdict) { #expect(!isDropped, "\(example)") }
            if example.roles == .lan, example.verdict == .passLocal { #expect(!isDropped, "\(example)") }
            let mayBeProtected: Set<SteeringVerdict> = [.passUnprotected, .passInside, .passBypass, .passNotLocal]
            if mayBeProtected.contains(example.verdict) { #expect(isDropped, "\(example)") }
        }
        try closed.open()
        #expect(!closed.isClosed)
        let program = try fixture.program(.lan, tables: closed)
        #expect(try program.run(on: Frames.ethernet(Frames.ipv4(to: "8.8.8.8", protocol: 6, [0, 0]))) == Self.pass)
    }

    /// Every packet cut at every length: always one verdict, never an abort.
    @Test func everyTruncation() throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program([.lan, .wan])
        var runs: UInt64 = 0
        for example in SteeringCase.all {
            for length in 14..<max(15, min(example.frame.count, 110)) {
                let action = try program.run(on: Array(example.frame.prefix(length)))
                #expect(
                    [Self.drop, Self.pass, Self.redirect].contains(action), "\(example) cut to \(length): \(action)")
                runs += 1
            }
        }
        #expect(try program.verdicts().reduce(0, +) == runs)
    }

    /// Random bytes behind a plausible start.
    @Test func randomPackets() throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program([.lan, .wan])
        var runs: UInt64 = 0
        for example in SteeringCase.all {
            for _ in 0..<40 {
                var frame = example.frame
                for _ in 0..<4 { frame[Int.random(in: 12..<frame.count)] = UInt8.random(in: 0...255) }
                let action = try program.run(on: frame)
                #expect([Self.drop, Self.pass, Self.redirect].contains(action), "\(frame)")
                runs += 1
            }
        }
        #expect(try program.verdicts().reduce(0, +) == runs)
    }

    @Test func encapsulationPortIsAConstantOfTheProgram() throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program(.wan, port: 10_000)
        for (port, expected) in [(10_000, Self.redirect), (4500, Self.pass)] as [(UInt16, UInt32)] {
            let packet = Frames.ipv4(to: "203.0.113.1", protocol: 17, Frames.udp(to: port, Frames.esp))
            #expect(try program.run(on: Frames.ethernet(packet)) == expected)
        }
    }

    /// Changes of the tables act on the next packet of every loaded program.
    @Test func tablesChangeLive() throws {
        let fixture = try SteeringFixture()
        let lan = try fixture.program(.lan)
        let wan = try fixture.program(.wan)
        let toPrefix = Frames.ethernet(Frames.ipv4(to: "172.16.5.5", protocol: 6, [UInt8](repeating: 0, count: 20)))
        let toAddress = Frames.ethernet(Frames.ipv4(to: "203.0.113.9", protocol: 50, Frames.esp))
        let prefix = try #require(IPPrefix("172.16.0.0/12"))
        let everything = try #require(IPPrefix("0.0.0.0/0"))
        let address = try #require(IPAddress("203.0.113.9"))
        #expect(try (lan.run(on: toPrefix), wan.run(on: toAddress)) == (Self.pass, Self.pass))
        let protect = SteeringRule(from: .all(.ipv4), to: prefix, .protect, precedence: 20)
        let exception = SteeringRule(from: .all(.ipv4), to: prefix, .pass, precedence: 10)
        let all = SteeringRule(from: .all(.ipv4), to: everything, .protect, precedence: 20)
        try fixture.tables.change(adding: [protect])
        try fixture.tables.setLocalAddresses([address])
        #expect(try (lan.run(on: toPrefix), wan.run(on: toAddress)) == (Self.redirect, Self.redirect))
        try fixture.tables.change(adding: [exception, all], removing: [protect])
        #expect(try lan.run(on: toPrefix) == Self.pass)
        try fixture.tables.change(adding: [all], removing: [exception])
        #expect(try lan.run(on: toPrefix) == Self.redirect)
        // It was added twice.
        try fixture.tables.change(adding: [], removing: [all])
        #expect(try lan.run(on: toPrefix) == Self.redirect)
        try fixture.tables.change(adding: [], removing: [all])
        try fixture.tables.setLocalAddresses([])
        #expect(try (lan.run(on: toPrefix), wan.run(on: toAddress)) == (Self.pass, Self.pass))
    }

    @Test func linksChangeLive() throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program(.lan)
        let frame = Frames.ethernet(Frames.ipv4(to: "10.2.3.4", protocol: 6, []), tags: [0x8100], vlan: 77)
        #expect(try program.run(on: frame) == Self.pass)
        let own = MACAddress(0x0200_0000_0001)
        try program.setLinks([PortLink(own, roles: .lan), PortLink(own, vlan: 77, roles: .lan)])
        #expect(try program.run(on: frame) == Self.redirect)
        // The same link for another role: then nothing steers it.
        try program.setLinks([PortLink(own, roles: .lan), PortLink(own, vlan: 77, roles: .wan)])
        #expect(try program.run(on: frame) == Self.drop)
        try program.setLinks([PortLink(own, roles: .lan)])
        #expect(try program.run(on: frame) == Self.pass)
    }

    @Test func tenThousandRulesFit() throws {
        let fixture = try SteeringFixture()
        let rules = (0..<10_000).map { index in
            SteeringRule(
                from: .all(.ipv4), to: IPPrefix(address: IPAddress(ipv4: 0x6400_0000 + UInt32(index) << 8), length: 24),
                .protect, precedence: 20)
        }
        for start in stride(from: 0, to: rules.count, by: 1000) {
            try fixture.tables.change(adding: Array(rules[start..<start + 1000]))
        }
        let program = try fixture.program(.lan)
        let payload = [UInt8](repeating: 0, count: 20)
        let last = Frames.ipv4(to: "100.39.15.255", protocol: 6, payload)
        let behind = Frames.ipv4(to: "100.39.16.0", protocol: 6, payload)
        #expect(try program.run(on: Frames.ethernet(last)) == Self.redirect)
        #expect(try program.run(on: Frames.ethernet(behind)) == Self.pass)
    }

    /// More rules than the map holds: those that are there act, and nothing else passes until all are.
    @Test func fullTablesAreClosed() throws {
        let fixture = try SteeringFixture()
        let tables = try SteeringTables(rules: 8)
        try tables.open()
        let rules = try (0..<12).map { try SteeringRule(from: "0.0.0.0/0", to: "172.16.\($0).0/24") }
        #expect(tables.canHold(Array(rules[..<7])) && !tables.canHold(Array(rules[..<8])))
        try tables.change(adding: Array(rules[..<4]))
        #expect(tables.canHold(Array(rules[..<7])), "the same rule takes no more room")
        let program = try fixture.program(.lan, tables: tables)
        let unprotected = Frames.ethernet(Frames.ipv4(to: "8.8.8.8", protocol: 6, []))
        #expect(try program.run(on: unprotected) == Self.pass)
        #expect(throws: XDPError.self) { try tables.change(adding: Array(rules[4...])) }
        #expect(tables.isClosed)
        for index in 0..<12 {
            let action = try program.run(on: Frames.ethernet(Frames.ipv4(to: "172.16.\(index).1", protocol: 6, [])))
            #expect(action != Self.pass, "rule \(index)")
        }
        #expect(try program.run(on: unprotected) == Self.drop)
        #expect(throws: XDPError.self) { try tables.retry() }
        try tables.change(adding: [], removing: Array(rules[8...]))
        #expect(!tables.isClosed)
        for index in 0..<8 {
            let action = try program.run(on: Frames.ethernet(Frames.ipv4(to: "172.16.\(index).1", protocol: 6, [])))
            #expect(action == Self.redirect, "rule \(index)")
        }
        #expect(try program.run(on: unprotected) == Self.pass)
    }

    /// More rules by port between two networks than the program holds, or more such pairs: the first rules act, and of the rest
    /// nothing passes that is to be protected.
    @Test(arguments: [true, false]) func tooManyPorts(hasRoom: Bool) throws {
        let fixture = try SteeringFixture()
        let tables = try SteeringTables(lists: hasRoom ? 2 : 1)
        try tables.open()
        try tables.change(adding: [.init(from: "192.168.31.0/24", to: "172.31.0.0/16", upper: .init(protocol: 47))])
        let rules = try (0..<40).map { number in
            let port = UInt16(1000 + number)
            return try SteeringRule(
                from: "192.168.30.0/24", to: "172.30.0.0/16",
                upper: .init(protocol: 6, destinationPorts: port...port), number % 2 == 0 ? .pass : .protect,
                precedence: UInt64(number))
        }
        func action(_ number: Int) throws -> UInt32 {
            let packet = Frames.ipv4(
                to: "172.30.1.1", from: "192.168.30.9", protocol: 6,
                Frames.big(9) + Frames.big(UInt16(1000 + number)) + [UInt8](repeating: 0, count: 16))
            return try program.run(on: Frames.ethernet(packet))
        }
        let program = try fixture.program(.lan, tables: tables)
        try tables.change(adding: Array(rules[..<16]))
        #expect((tables.pairWithTooManyRules == nil) == hasRoom)
        #expect(try action(99) == (hasRoom ? Self.pass : Self.redirect), "no rule is about it")
        try tables.change(adding: Array(rules[16...]))
        #expect(tables.pairWithTooManyRules?.destination == IPPrefix("172.30.0.0/16"))
        for number in rules.indices where number % 2 == 1 {
            #expect(try action(number) == Self.redirect, "rule \(number)")
        }
        for number in stride(from: 0, to: 15, by: 2) {
            #expect(try action(number) == (hasRoom ? Self.pass : Self.redirect), "rule \(number)")
        }
        try tables.change(adding: [], removing: Array(rules[1...]))
        #expect(tables.pairWithTooManyRules == nil || !hasRoom)
        // The only one left lets pass; without room for it nothing is about the pair.
        #expect(try (action(0), action(1)) == (Self.pass, Self.pass))
        try tables.change(adding: [], removing: [rules[0]])
        #expect(tables.pairWithTooManyRules == nil && !tables.isClosed)
    }

    /// Lists are exchanged under load: no packet that is protected before and after finds a gap.
    @Test func listsAreExchangedWithoutAGap() async throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program(.lan)
        let tables = fixture.tables
        let other = try SteeringRule(
            from: "192.168.30.0/24", to: "172.30.0.0/16", upper: .init(protocol: 6, destinationPorts: 443...443),
            precedence: 1)
        let frame = Frames.ethernet(
            Frames.ipv4(
                to: "172.30.1.1", from: "192.168.30.9", protocol: 6,
                Frames.big(9) + Frames.big(80) + [UInt8](repeating: 0, count: 16)))
        async let changes: Void = onOwnThread {
            for _ in 0..<2000 {
                try? tables.change(adding: [other])
                try? tables.change(adding: [], removing: [other])
            }
        }
        for _ in 0..<20_000 where try program.run(on: frame) != Self.redirect {
            Issue.record("a protected packet was not taken")
            break
        }
        await changes
        #expect(!tables.isClosed)
    }

    /// Addresses that do not fit are tried again; meanwhile nothing passes that should not, so nothing is closed.
    @Test func tooManyAddressesAreTriedAgain() throws {
        let fixture = try SteeringFixture()
        let wan = try fixture.program(.wan)
        let addresses = (0..<4200).map { IPAddress(ipv4: 0xcb00_7200 + UInt32($0)) }
        #expect(throws: XDPError.self) { try fixture.tables.setLocalAddresses(Set(addresses)) }
        #expect(!fixture.tables.isClosed)
        try fixture.tables.setLocalAddresses(Set(addresses.suffix(100)))
        let last = Frames.ipv4(to: addresses[4199].description, protocol: 50, Frames.esp)
        #expect(try wan.run(on: Frames.ethernet(last)) == Self.redirect)
        let first = Frames.ipv4(to: addresses[0].description, protocol: 50, Frames.esp)
        #expect(try wan.run(on: Frames.ethernet(first)) == Self.pass)
    }

    /// Of a full routing table some networks behind LAN ports are left out, which protects more, not less.
    @Test func networksBehindLANPortsAreBounded() throws {
        let fixture = try SteeringFixture()
        let many = (0..<20_000).map { IPPrefix(address: IPAddress(ipv4: 0x0a00_0000 + UInt32($0) << 8), length: 24) }
        let wide = try #require(IPPrefix("172.30.0.0/16"))
        try fixture.tables.setInsideNetworks(Set(many + [wide]))
        let program = try fixture.program(.lan)
        let packet = Frames.ipv4(to: "172.30.1.1", protocol: 6, [])
        #expect(try program.run(on: Frames.ethernet(packet)) == Self.pass)
        #expect(try program.verdicts()[Int(SteeringVerdict.passInside.rawValue)] == 1)
        try fixture.tables.setInsideNetworks([])
    }

    @Test func verdictsAreThoseOfTheProgram() {
        #expect(SteeringVerdict.allCases.count == Int(SLUICE_VERDICTS.rawValue))
        #expect(SteeringVerdict.socketProtected.rawValue == SLUICE_SOCKET_PROTECTED.rawValue)
        #expect(SteeringVerdict.dropNoSocket.rawValue == SLUICE_DROP_NO_SOCKET.rawValue)
        #expect(SteeringVerdict.dropClosed.rawValue == SLUICE_DROP_CLOSED.rawValue)
        #expect(SteeringRule.Action.protect.rawValue == SLUICE_ACTION_PROTECT.rawValue)
        #expect(SteeringRule.Action.discard.rawValue == SLUICE_ACTION_DISCARD.rawValue)
        #expect(SteeringRule.Action.pass.rawValue == SLUICE_ACTION_PASS.rawValue)
        #expect(SteeringVerdict.passOuterFragment.rawValue == SLUICE_PASS_OUTER_FRAGMENT.rawValue)
        #expect(SteeringVerdict.passMalformed.rawValue == SLUICE_PASS_MALFORMED.rawValue)
        #expect(Set(SteeringVerdict.allCases.map(\.name)).count == SteeringVerdict.allCases.count)
        #expect(PortRoles.lan.rawValue == UInt32(SLUICE_ROLE_LAN))
        #expect(PortRoles.wan.rawValue == UInt32(SLUICE_ROLE_WAN))
    }

    private static func names(_ counters: [UInt64]) -> String {
        zip(SteeringVerdict.allCases, counters).filter { $0.1 > 0 }.map { "\($0.0.name) \($0.1)" }.joined(
            separator: ", ")
    }
}

/// Runs cases, each on the one program for its roles: loading one takes the kernel a while.
private struct CaseRuns {
    private var programs: [UInt32: (program: SteeringProgram, counted: [UInt64])] = [:]

    /// What the program returned, and what it counted for this case.
    mutating func run(
        _ example: SteeringCase, make: (PortRoles) throws -> SteeringProgram
    ) throws -> (action: UInt32, counted: [UInt64]) {
        let zero = [UInt64](repeating: 0, count: SteeringVerdict.allCases.count)
        let (program, before) = try programs[example.roles.rawValue] ?? (make(example.roles), zero)
        let action = try program.run(on: example.frame)
        let after = try program.verdicts()
        programs[example.roles.rawValue] = (program, after)
        return (action, zip(after, before).map { $0 - $1 })
    }
}
