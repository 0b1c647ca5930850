import IPsec
import Packets
import Testing

@testable import IKEv2

/// Traps, limits and NATs: what comes from the dataplane, and what goes there.
@Suite struct DataplaneEventTests {
    private let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.0.9")), protocol: 17,
        sourcePorts: 1000...1000, destinationPorts: 53...53)

    @Test func aPacketOnATrapBringsTheTunnelUpOnce() throws {
        let pair = MoonAndSun()
        pair.load { $0.children[0].startAction = .trap }
        let trap = try #require(pair.moon.manager.traps.first)
        #expect(trap.selectors.map(\.destination) == [prefix("10.2.0.0/16")])
        for _ in 0..<50 {
            pair.moon.manager.handle(.acquire(requestID: trap.requestID, packet: packet), at: pair.now)
            pair.lab.run(seconds: 0.001)
        }
        pair.lab.run(seconds: 5)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 1)
        #expect(pair.moon.dataplane.inboundInstalled == 1)
        #expect(pair.moon.manager.counters.acquiresSuppressed == 49)
        #expect(pair.moon.dataplane.active("net")?.requestID == trap.requestID)
        // It stays for the next time.
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        #expect(pair.moon.dataplane.traps.count == 1)
        pair.moon.manager.handle(.acquire(requestID: trap.requestID, packet: packet), at: pair.now)
        pair.lab.run(seconds: 5)
        pair.expectTunnel()
    }

    /// A peer on another port than 500 wants the non-ESP marker, which is not sent from port 500 (RFC 3948 section 2.2).
    @Test func anotherPortOfThePeerIsCalledFrom4500() {
        let pair = MoonAndSun()
        pair.load { $0.remotePort = 4500 }
        _ = pair.initiate("net", within: 5)
        #expect(pair.moon.manager.statuses().map(\.path.local.port) == [4500])
    }

    /// `remote_addrs = 192.0.2.2, %any`: it goes to the one, and would answer everybody.
    @Test func anyAddressBehindOthersIsNoDestination() {
        let pair = MoonAndSun()
        var remote: [AddressPattern] = []
        pair.load { connection in
            remote = connection.remoteAddresses
            connection.remoteAddresses += [.range(.any(.ipv4)), .range(.any(.ipv6))]
            connection.localAddresses += [.range(.any(.ipv4)), .range(.any(.ipv6))]
        }
        _ = pair.initiate("net", within: 5)
        pair.expectTunnel()
        let called = pair.moon.manager.statuses().map { AddressPattern.range(AddressRange($0.path.remote.address)) }
        #expect(called == remote)
    }

    @Test func trapsCanBeSetAndTakenByHand() {
        let pair = MoonAndSun()
        pair.load()
        if case .failure(let why) = pair.moon.manager.install(connection: nil, child: "net", at: pair.now) {
            Issue.record("\(why)")
        }
        #expect(pair.moon.dataplane.traps.count == 1)
        #expect(pair.moon.manager.uninstall(connection: nil, child: "net", at: pair.now))
        #expect(pair.moon.dataplane.covers.count == 1, "nothing leaves in clear, and nothing calls")
        #expect(!pair.moon.manager.uninstall(connection: nil, child: "net", at: pair.now))
        #expect(pair.moon.dataplane.traps.isEmpty)
        if case .success = pair.moon.manager.install(connection: "sun", child: "nothing", at: pair.now) {
            Issue.record("a child that is not there has a trap")
        }
    }

    @Test func aTrapOfANameComesOnceThatIsResolved() {
        let pair = MoonAndSun()
        pair.lab.names["sun.example.org"] = [ip("192.0.2.2")]
        pair.load {
            $0.remoteAddresses = [.name("sun.example.org")]
            $0.children[0].remoteSelectors = [.dynamic]
            $0.children[0].startAction = .trap
        }
        #expect(pair.moon.manager.traps.flatMap(\.selectors).isEmpty)
        pair.lab.run(seconds: 1)
        let destinations = pair.moon.manager.traps.flatMap(\.selectors).map(\.destination)
        #expect(destinations == [AddressRange(ip("192.0.2.2"))])
    }

    @Test func theHardLimitEndsAnSA() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        let sa = try #require(pair.moon.dataplane.active("net"))
        pair.moon.manager.handle(.hardLimit(inboundSPI: sa.inboundSPI), at: pair.now)
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.sun.dataplane.inbound.isEmpty)
        pair.expectOrder()
    }

    @Test func limitsGetTheirJitter() {
        var child = Child(name: "net", proposals: ChildProposal.default)
        child.bytes = Child.Limit(rekey: 1000, life: 1100, random: 100)
        child.packets = Child.Limit(rekey: 50, life: 0, random: 500)
        let pair = MoonAndSun()
        let lifetimes = (0..<200).map { _ in pair.moon.manager.environment.lifetime(of: child) }
        #expect(lifetimes.allSatisfy { (900...1000).contains($0.softBytes ?? 0) && $0.hardBytes == 1100 })
        #expect(lifetimes.allSatisfy { (1...50).contains($0.softPackets ?? 0) && $0.hardPackets == nil })
        #expect(Set(lifetimes.map(\.softBytes)).count > 20)
        #expect(pair.moon.manager.environment.lifetime(of: Child(name: "none", proposals: [])).softBytes == nil)
    }

    @Test func behindANATKeepalivesAreSentAndAMoveIsFollowed() throws {
        let pair = MoonAndSun()
        pair.lab.masquerade[pair.moon.address] = Endpoint(ip("203.0.113.1"), port: 20_000)
        pair.load(sun: { $0.remoteAddresses = [] })
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 100)
        pair.expectTunnel()
        #expect(pair.moon.dataplane.active("net")?.isEncapsulated == true)
        #expect((3...6).contains(pair.moon.keepalives.count))
        #expect(pair.moon.keepalives.allSatisfy { $0.remote.port == 4500 })
        // Sun has none in front of it.
        #expect(pair.sun.keepalives.isEmpty)
        // The NAT forgets, and maps anew: sun's ESP follows at once.
        let sa = try #require(pair.sun.dataplane.active("net"))
        let elsewhere = Endpoint(ip("203.0.113.1"), port: 30_001)
        pair.sun.manager.handle(.mappingChanged(inboundSPI: sa.inboundSPI, remote: elsewhere), at: pair.now)
        #expect(pair.sun.dataplane.moves == 1)
        #expect(pair.sun.manager.statuses().first?.path.remote == elsewhere)
    }
}
