import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// NAT traversal (RFC 7296 section 2.23, RFC 3948).
@Suite struct NATTests {
    private static let outside = IPAddress.test(.ipv4, 99)

    /// The west is behind a NAT that shows its ports as 1000 more.
    private func behindNAT(_ bench: TwoSessions) {
        bench.network.mapping = [
            Endpoint(bench.west.endpoint.address, port: 500): Endpoint(Self.outside, port: 1500),
            Endpoint(bench.west.endpoint.address, port: 4500): Endpoint(Self.outside, port: 5500),
        ]
    }

    @Test func withoutANATPort500IsKept() {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        for host in [bench.west, bench.east] {
            #expect(host.session?.path.local.port == 500)
            #expect(host.session?.path.remote.port == 500)
            #expect(host.children.map(\.isEncapsulated) == [false])
        }
    }

    @Test func behindANATBothGoToPort4500() {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.session.map(bench.west.status)?.hasLocalNAT == true)
        #expect(bench.west.session.map(bench.west.status)?.hasRemoteNAT == false)
        #expect(bench.east.session.map(bench.east.status)?.hasRemoteNAT == true)
        #expect(bench.east.session.map(bench.east.status)?.hasLocalNAT == false)
        #expect(bench.west.session?.path.local.port == 4500)
        #expect(bench.west.session?.path.remote.port == 4500)
        #expect(bench.east.session?.path.remote == Endpoint(Self.outside, port: 5500))
        #expect(bench.east.session?.path.local.port == 4500)
        #expect(bench.west.children.map(\.isEncapsulated) == [true])
        #expect(bench.east.children.map(\.isEncapsulated) == [true])
        #expect(bench.east.children.map(\.path.remote) == [Endpoint(Self.outside, port: 5500)])
    }

    /// Ports that were configured stay.
    @Test func otherPortsAreKept() {
        let bench = TwoSessions()
        bench.west.endpoint.port = 4501
        bench.east.endpoint.port = 4502
        bench.network.mapping = [bench.west.endpoint: Endpoint(Self.outside, port: 7777)]
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.session?.path == bench.path)
        #expect(bench.east.children.map(\.isEncapsulated) == [true])
    }

    @Test func encapsulationIsForcedByTheInitiator() {
        let bench = TwoSessions()
        bench.connection.forcesEncapsulation = true
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.children.map(\.isEncapsulated) == [true])
        #expect(bench.east.children.map(\.isEncapsulated) == [true])
        #expect(bench.east.session?.path.local.port == 4500)
    }

    @Test func encapsulationIsForcedByTheResponder() {
        let bench = TwoSessions()
        bench.east.connections[0].forcesEncapsulation = true
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.west.children.map(\.isEncapsulated) == [true])
        #expect(bench.east.children.map(\.isEncapsulated) == [true])
        #expect(bench.west.session?.path.remote.port == 4500)
    }

    /// A peer that sends no notifies of this kind cannot do ESP in UDP.
    @Test func noEncapsulationWithAPeerThatCannot() throws {
        let bench = TwoSessions()
        bench.initiate()
        let request = try #require(try ReceivedMessage(decoding: bench.datagrams[0]).plainMessage)
        let situation = NATDetection.situation(
            Message(header: request.header, payloads: request.payloads.filter { $0.type != .notify }),
            path: bench.path, forced: true)
        #expect(!situation.isEncapsulated)
    }

    /// The NAT forgets its mapping: an authentic message from elsewhere moves IKE SA and children (section 2.23).
    @Test func aNewMappingIsFollowed() {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.connection.dpdDelay = 10
        bench.initiate()
        bench.run()
        bench.network.mapping = [
            Endpoint(bench.west.endpoint.address, port: 4500): Endpoint(Self.outside, port: 6001)
        ]
        bench.pass(seconds: 11)
        #expect(bench.east.session?.path.remote.port == 6001)
        #expect(bench.east.children.map(\.path.remote.port) == [6001])
        #expect(bench.east.outbound.values.map(\.path.remote.port) == [6001])
        #expect(bench.east.moves.map(\.remote.port) == [6001])
        #expect(bench.east.log.last == "move" || bench.east.log.suffix(2) == ["move", "send"])
        bench.expectJoined()
    }

    /// An authentic message comes on port 500, at either end: it is answered, and ESP in UDP stays where it is (section 2.23).
    @Test(arguments: [true, false])
    func encapsulatedESPNeverGoesToPort500(local: Bool) throws {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        let session = try #require(bench.east.session)
        let before = session.path
        var elsewhere = before
        if local { elsewhere.local.port = 500 } else { elsewhere.remote.port = 500 }
        bench.east.perform(session) { $0.follow(elsewhere, environment: bench.east.environment) }
        #expect(bench.east.session?.path == before)
        #expect(bench.east.moves.isEmpty)
        #expect(bench.east.children.map(\.path) == [before])
    }

    /// Neither a forgery nor the repetition of an old message moves anything.
    @Test func onlyNewAuthenticMessagesAreFollowed() throws {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        let before = bench.east.session?.path
        let elsewhere = Path(
            local: Endpoint(bench.east.endpoint.address, port: 4500), remote: Endpoint(.test(.ipv4, 66), port: 4500))
        let old = try #require(bench.datagrams.last { $0[18] == 35 && $0[19] & 0x20 == 0 })
        bench.east.receive(old, path: elsewhere)
        var forged = old
        forged[23] = 2
        bench.east.receive(forged, path: elsewhere)
        #expect(bench.east.session?.path == before)
        #expect(bench.east.moves.isEmpty)
    }

    /// Who is behind a NAT itself does not follow: only an attacker would gain by it.
    @Test func theOneBehindTheNATDoesNotFollow() throws {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        let before = bench.west.session?.path
        let session = try #require(bench.west.session)
        var elsewhere = session.path
        elsewhere.remote.port = 9
        bench.west.perform(session) { $0.follow(elsewhere, environment: bench.west.environment) }
        #expect(bench.west.session?.path == before)
    }

    /// Both are behind NATs, and the peer's maps another port: that is followed, another address is not.
    @Test(arguments: [true, false])
    func behindTwoNATsOnlyThePortIsFollowed(address: Bool) throws {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        let session = try #require(bench.east.session)
        session.nat.isLocal = true
        var elsewhere = session.path
        elsewhere.remote.port = 6003
        if address { elsewhere.remote.address = .test(.ipv4, 66) }
        bench.east.perform(session) { $0.follow(elsewhere, environment: bench.east.environment) }
        #expect(bench.east.moves.map(\.remote.port) == (address ? [] : [6003]))
    }

    /// Without any NAT: a peer whose address changes is followed, its CHILD_SAs too (section 2.23).
    @Test func aPeerThatMovesIsFollowed() {
        let bench = TwoSessions()
        bench.connection.dpdDelay = 10
        bench.initiate()
        bench.run()
        bench.network.mapping = [bench.west.endpoint: Endpoint(Self.outside, port: 500)]
        bench.pass(seconds: 11)
        #expect(bench.east.session?.path.remote == Endpoint(Self.outside, port: 500))
        #expect(bench.east.children.map(\.path.remote.address) == [Self.outside])
        #expect(bench.east.children.map(\.isEncapsulated) == [false])
        bench.expectJoined()
    }

    /// Where a peer is not followed, what comes from elsewhere is answered, and is no sign of life.
    @Test func whoIsNotFollowedIsNotAlive() throws {
        let bench = TwoSessions()
        bench.connection.dpdDelay = 10
        bench.initiate()
        bench.run()
        let session = try #require(bench.east.session)
        session.nat.isLocal = true
        let heard = session.lastHeardAt
        bench.network.mapping = [bench.west.endpoint: Endpoint(Self.outside, port: 500)]
        bench.pass(seconds: 11)
        #expect(bench.east.session?.path.remote == bench.west.endpoint && session.lastHeardAt == heard)
        #expect(bench.west.session != nil)
        // Nor is its answer to our question.
        bench.east.perform(session) { $0.probe(environment: bench.east.environment) }
        bench.pass(seconds: 60)
        #expect(bench.east.session == nil)
    }

    /// What the dataplane saw: the mapping of ESP in UDP.
    @Test func theDataplanesWordIsFollowed() throws {
        let bench = TwoSessions()
        behindNAT(bench)
        bench.initiate()
        bench.run()
        let session = try #require(bench.east.session)
        var elsewhere = session.path
        elsewhere.remote.port = 6002
        bench.east.perform(session) { $0.follow(elsewhere, environment: bench.east.environment) }
        #expect(bench.east.moves.map(\.remote.port) == [6002])
        #expect(bench.east.children.map(\.path.remote.port) == [6002])
    }
}
