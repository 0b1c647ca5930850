import IKEv2
import IPsec
import Packets
import Testing

/// What one peer cannot do to another one.
@Suite struct PeersApartTests {
    /// Sun with one connection for all of example.org, and two peers of it.
    private final class Branches {
        let pair = MoonAndSun()
        let mars: LabHost

        init(_ change: (inout Connection) -> Void = { _ in }) {
            mars = pair.lab.addHost("192.0.2.3")
            mars.manager.credentials.sharedKeys = [.lab]
            var hub = Connection.between("sun", "192.0.2.2", "10.2.0.0/16", "branches", "192.0.2.1", "10.0.0.0/8")
            hub.remoteAddresses = []
            hub.remote.identity = .domainName("*.example.org")
            change(&hub)
            pair.sun.manager.load([hub], replacingAll: true, at: pair.now)
            pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        }

        /// Mars asks for the network; whether it gets it.
        func marsGets(_ network: String, as name: String = "mars") -> Bool {
            var connection = Connection.between(name, "192.0.2.3", network, "sun", "192.0.2.2", "10.2.0.0/16")
            connection.name = "sun-\(network)"
            mars.manager.load([connection], replacingAll: false, at: pair.now)
            var outcome: Result<Void, Explanation>?
            mars.manager.initiate(connection: connection.name, child: "net", at: pair.now) { outcome = $0 }
            pair.lab.run { outcome != nil }
            pair.lab.run(seconds: 1)
            if case .success = outcome { return true }
            return false
        }

        /// Where sun sends packets for an address.
        func destinations(of address: String) -> [IPAddress] {
            pair.sun.dataplane.outbound.values.filter { sa in
                sa.selectors.contains { $0.destination.contains(ip(address)) }
            }.map(\.path.remote.address).sorted()
        }

        var refusals: [String] {
            pair.sun.events.compactMap {
                if case .session(.childFailed(_, let why)) = $0.event { why.description } else { nil }
            }
        }
    }

    @Test(arguments: ["10.1.0.0/16", "10.1.5.0/24", "10.0.0.0/8"])
    func theNetworkOfAnotherPeerIsRefused(network: String) {
        let lab = Branches()
        #expect(lab.pair.initiate("net"))
        #expect(!lab.marsGets(network))
        #expect(lab.destinations(of: "10.1.5.5") == [ip("192.0.2.1")])
        #expect(lab.refusals.count == 1 && lab.refusals[0].contains("moon.example.org has"), "\(lab.refusals)")
        // A network of its own is fine, in the IKE SA that is up.
        #expect(lab.marsGets("10.3.0.0/16"))
        let ids = Set(lab.pair.sun.dataplane.outbound.values.map(\.requestID))
        let own = lab.pair.sun.dataplane.covers["branches/net"]?.requestID
        #expect(ids.count == 2 && !ids.contains(own ?? 0), "each peer has a request id of its own")
        // The one who had it is gone.
        #expect(lab.pair.terminate(SAFilter(connection: "sun")) == 1)
        lab.pair.lab.run(seconds: 10)
        #expect(lab.marsGets("10.1.0.0/16"))
        #expect(lab.destinations(of: "10.1.5.5") == [ip("192.0.2.3")])
        for host in [lab.pair.moon, lab.pair.sun, lab.mars] { #expect(host.dataplane.violations == []) }
    }

    /// A peer that moves, or begins anew, is the same peer, however it writes its name.
    @Test func thePeerItselfMayComeAgain() {
        let lab = Branches()
        #expect(lab.pair.initiate("net"))
        #expect(lab.marsGets("10.1.0.0/16", as: "MOON"))
        #expect(lab.refusals == [])
    }

    @Test func reauthenticationAndRekeysAreNotInTheWay() {
        let lab = Branches()
        #expect(lab.pair.initiate("net"))
        let filter = SAFilter(connection: "sun")
        #expect(lab.pair.moon.manager.rekey(filter, reauthenticate: true, at: lab.pair.now) == 1)
        lab.pair.lab.run(seconds: 30)
        #expect(lab.pair.moon.manager.rekey(filter, reauthenticate: false, at: lab.pair.now) == 1)
        lab.pair.lab.run(seconds: 30)
        let child = SAFilter(connection: "sun", child: "net")
        #expect(lab.pair.moon.manager.rekey(child, reauthenticate: false, at: lab.pair.now) == 1)
        lab.pair.lab.run(seconds: 30)
        lab.pair.expectTunnel()
        #expect(lab.refusals == [] && lab.pair.sun.dataplane.inbound.count == 1)
        #expect(!lab.marsGets("10.1.0.0/16"))
    }

    /// A peer whose connection is for it alone has the child's own request id, as its traps have.
    @Test func onePeerHasTheIDOfTheChild() {
        let pair = MoonAndSun()
        pair.bringUp()
        let id = pair.moon.dataplane.covers["sun/net"]?.requestID
        #expect(id != nil && pair.moon.dataplane.active("net")?.requestID == id)
    }

    // MARK: `unique` and INITIAL_CONTACT

    /// Sun knows moon, and takes guests from elsewhere, whose word for who they are is worth less.
    private func impostor(_ unique: Connection.Uniqueness, guests: Connection.Uniqueness) -> (MoonAndSun, LabHost) {
        let pair = MoonAndSun()
        let mars = pair.lab.addHost("192.0.2.3")
        mars.manager.credentials.sharedKeys = [.lab]
        var known = Connection.sunToMoon
        known.unique = unique
        var open = Connection.between("sun", "192.0.2.2", "10.2.0.0/16", "guests", "192.0.2.3", "10.9.0.0/16")
        open.remote.identity = .any
        open.unique = guests
        pair.sun.manager.load([known, open], replacingAll: true, at: pair.now)
        pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        return (pair, mars)
    }

    private func guestConnects(_ pair: MoonAndSun, _ mars: LabHost) -> Bool {
        let connection = Connection.between("moon", "192.0.2.3", "10.9.0.0/16", "sun", "192.0.2.2", "10.2.0.0/16")
        mars.manager.load([connection], replacingAll: true, at: pair.now)
        var outcome: Result<Void, Explanation>?
        mars.manager.initiate(connection: "sun", child: "net", at: pair.now) { outcome = $0 }
        pair.lab.run { outcome != nil }
        if case .success = outcome { return true }
        return false
    }

    @Test(arguments: [Connection.Uniqueness.no, .keep, .replace])
    func aGuestWithTheNameOfAnotherEndsNothing(unique: Connection.Uniqueness) throws {
        let (pair, mars) = impostor(unique, guests: unique)
        #expect(pair.initiate("net"))
        #expect(guestConnects(pair, mars))
        pair.lab.run(seconds: 30)
        #expect(pair.sun.manager.counters.sessions == 2)
        let sent = try #require(pair.moon.dataplane.active("net"))
        #expect(pair.sun.dataplane.receive(by: sent))
        pair.expectOrder()
    }

    /// Nor does one who is there already keep the other one out.
    @Test func aGuestWithTheNameOfAnotherKeepsNobodyOut() {
        let (pair, mars) = impostor(.keep, guests: .keep)
        #expect(guestConnects(pair, mars))
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 30)
        #expect(pair.sun.manager.counters.sessions == 2)
    }

    @Test(arguments: [Connection.Uniqueness.keep, .replace])
    func capitalLettersMakeNoOtherPeer(unique: Connection.Uniqueness) {
        let pair = MoonAndSun()
        pair.bringUp(sun: { $0.unique = unique })
        var again = pair.moon.manager.connections[0]
        again.name = "again"
        again.local.identity = .domainName("MOON.Example.ORG")
        pair.moon.manager.load([again], replacingAll: false, at: pair.now)
        #expect(pair.initiate("net", connection: "again") == (unique == .replace))
        pair.lab.run(seconds: 30)
        #expect(pair.sun.manager.counters.sessions == 1)
    }
}
