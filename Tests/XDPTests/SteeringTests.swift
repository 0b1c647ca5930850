import CLibBPF
import Packets
import Testing
import XDP

/// The real program in the real kernel, run by the kernel's program test run.
@Suite struct SteeringTests {
    private static let pass: UInt32 = 2
    private static let redirect: UInt32 = 4

    private static func isRedirect(_ verdict: SteeringVerdict) -> Bool { verdict.rawValue <= 3 }

    /// One counter is one, all others are zero.
    private static func only(_ verdict: SteeringVerdict) -> [UInt64] {
        SteeringVerdict.allCases.map { $0 == verdict ? 1 : 0 }
    }

    @Test func everyDecision() throws {
        let fixture = try SteeringFixture()
        for example in SteeringCase.all {
            let program = try fixture.program(example.roles)
            let action = try program.run(on: example.frame)
            #expect(action == (Self.isRedirect(example.verdict) ? Self.redirect : Self.pass), "\(example)")
            let counted = try program.verdicts()
            #expect(counted == Self.only(example.verdict), "\(example): \(Self.names(counted))")
        }
    }

    /// Without a socket on the queue everything goes to the host, and what a socket should have got is counted.
    @Test func withoutASocketTheHostGetsAll() throws {
        let fixture = try SteeringFixture()
        for example in SteeringCase.all {
            let program = try fixture.program(example.roles, socket: false)
            #expect(try program.run(on: example.frame) == Self.pass, "\(example)")
            let expected = Self.isRedirect(example.verdict) ? .passNoSocket : example.verdict
            #expect(try program.verdicts() == Self.only(expected), "\(example)")
        }
    }

    /// Every packet cut at every length: always one verdict, never an abort.
    @Test func everyTruncation() throws {
        let fixture = try SteeringFixture()
        let program = try fixture.program([.lan, .wan])
        var runs: UInt64 = 0
        for example in SteeringCase.all {
            for length in 14..<max(15, min(example.frame.count, 110)) {
                let action = try program.run(on: Array(example.frame.prefix(length)))
                #expect(action == Self.pass || action == Self.redirect, "\(example) cut to \(length): \(action)")
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
                #expect(action == Self.pass || action == Self.redirect, "\(frame)")
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
        try fixture.tables.setPrefixes([prefix: .protect])
        try fixture.tables.setLocalAddresses([address])
        #expect(try (lan.run(on: toPrefix), wan.run(on: toAddress)) == (Self.redirect, Self.redirect))
        try fixture.tables.setPrefixes([prefix: .pass, everything: .protect])
        #expect(try lan.run(on: toPrefix) == Self.pass)
        try fixture.tables.setPrefixes([everything: .protect])
        #expect(try lan.run(on: toPrefix) == Self.redirect)
        try fixture.tables.setPrefixes([:])
        try fixture.tables.setLocalAddresses([])
        #expect(try (lan.run(on: toPrefix), wan.run(on: toAddress)) == (Self.pass, Self.pass))
    }

    @Test func tenThousandPrefixesFit() throws {
        let fixture = try SteeringFixture()
        var prefixes: [IPPrefix: SteeringTables.Action] = [:]
        for index in 0..<10_000 {
            let address = IPAddress(ipv4: 0x6400_0000 + UInt32(index) << 8)
            prefixes[IPPrefix(address: address, length: 24)] = .protect
        }
        try fixture.tables.setPrefixes(prefixes)
        let program = try fixture.program(.lan)
        let payload = [UInt8](repeating: 0, count: 20)
        let last = Frames.ipv4(to: "100.39.15.255", protocol: 6, payload)
        let behind = Frames.ipv4(to: "100.39.16.0", protocol: 6, payload)
        #expect(try program.run(on: Frames.ethernet(last)) == Self.redirect)
        #expect(try program.run(on: Frames.ethernet(behind)) == Self.pass)
    }

    @Test func verdictsAreThoseOfTheProgram() {
        #expect(SteeringVerdict.allCases.count == Int(SLUICE_VERDICTS.rawValue))
        #expect(SteeringVerdict.socketProtected.rawValue == SLUICE_SOCKET_PROTECTED.rawValue)
        #expect(SteeringVerdict.passNoSocket.rawValue == SLUICE_PASS_NO_SOCKET.rawValue)
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
