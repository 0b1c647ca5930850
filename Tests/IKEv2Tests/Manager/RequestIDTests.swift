import IPsec
import Packets
import Testing

@testable import IKEv2

/// Request ids: one for each child, and one for each peer where there are many.
@Suite struct RequestIDTests {
    private let ids = RequestIDs(reserved: [2])
    private let peers = [Identity.domainName("one.example.org"), .domainName("two.example.org")]
    private let selectors = [TrafficSelector(source: prefix("10.1.0.0/16"), destination: prefix("10.2.0.0/16"))]

    private var forMany: Connection {
        var connection = Connection.moonToSun
        connection.remote.identity = .domainName("*.example.org")
        return connection
    }

    private func association(_ connection: Connection, _ peer: Identity) -> UInt32 {
        ids.association(of: connection, child: connection.children[0], selectors: selectors, peer: peer)
    }

    @Test func aChildKeepsItsID() {
        let connection = Connection.moonToSun
        let id = ids.own(connection: "sun", child: connection.children[0])
        #expect(id == ids.own(connection: "sun", child: connection.children[0]))
        #expect(peers.allSatisfy { association(connection, $0) == id }, "its SAs have it too")
        #expect(ids.own(connection: "mars", child: connection.children[0]) != id)
    }

    @Test func configuredAndReservedIDsAreLeftOut() {
        var connection = Connection.moonToSun
        connection.children[0].requestID = 1
        ids.configure([connection])
        #expect(ids.own(connection: "sun", child: connection.children[0]) == 1)
        #expect(ids.own(connection: "mars", child: Connection.moonToSun.children[0]) == 3)
    }

    /// No two peers share one, and the same peer has the same.
    @Test func peersOfOneConnectionHaveTheirOwn() {
        #expect(forMany.remote.identity.isPattern)
        let first = association(forMany, peers[0])
        #expect(association(forMany, peers[0]) == first && association(forMany, peers[1]) != first)
        #expect(first != ids.own(connection: "sun", child: forMany.children[0]))
    }

    @Test func theLastSAGivesAnIDBack() {
        let first = association(forMany, peers[0])
        for _ in 0..<2 { ids.use(first) }
        ids.endUse(first)
        #expect(association(forMany, peers[0]) == first)
        ids.endUse(first)
        #expect(association(forMany, peers[0]) != first)
    }

    @Test func anIDWithoutAnSAIsAbandoned() {
        let first = association(forMany, peers[0])
        ids.abandon(first)
        #expect(association(forMany, peers[0]) != first)
        let own = ids.own(connection: "sun", child: forMany.children[0])
        ids.abandon(own)
        #expect(ids.own(connection: "sun", child: forMany.children[0]) == own, "a child that is loaded keeps its own")
    }

    /// A child that was unloaded while its SAs lived on: nobody else gets the id as long as they do.
    @Test func anIDInUseIsNotChosenAgain() {
        let id = ids.own(connection: "sun", child: Connection.moonToSun.children[0])
        ids.use(id)
        ids.release(connection: "sun", child: "net")
        #expect(ids.own(connection: "sun", child: Connection.moonToSun.children[0]) != id)
        ids.endUse(id)
        ids.release(connection: "sun", child: "net")
    }
}
