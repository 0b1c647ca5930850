import IKEv2
import IPsec
import Packets
import Testing

@Suite struct ManagerTests {
    @Test func aTunnelComesUpAndGoes() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.moon.manager.counters.sessions == 1)
        #expect(pair.sun.manager.counters.sessions == 1)
        #expect(pair.sun.manager.counters.halfOpen == 0)
        #expect(pair.moon.manager.statuses().first?.children.map(\.state) == [.installed])
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.expectNothingLeft()
    }

    @Test func aChildEndsWithoutItsIKESA() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.terminate(SAFilter(child: "net")) == 1)
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.isEmpty && pair.sun.dataplane.isEmpty)
        #expect(pair.moon.manager.counters.sessions == 1)
        // And comes back in it.
        #expect(pair.initiate("net"))
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    @Test func anUnknownNameIsAnsweredByThoseThatThereAre() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children += (1...11).map { .between("n\($0)", "10.1.0.0/16", "10.2.\($0).0/24") } }
        func remedy(_ connection: String?, _ child: String?) -> String? {
            var remedy: String?
            pair.moon.manager.initiate(connection: connection, child: child, at: pair.now) { outcome in
                if case .failure(let why) = outcome { remedy = why.remedy }
            }
            return remedy
        }
        #expect(remedy("san", nil) == "there are sun")
        #expect(remedy(nil, "nt")?.hasPrefix("there are net (of sun), n1 (of sun), ") == true)
        #expect(remedy("sun", "nt") == "there are net, n1, n2, n3, n4, n5, n6, n7, n8, n9, and 2 more")
        pair.moon.manager.load([], replacingAll: true, at: pair.now)
        #expect(remedy(nil, "net") == "none is loaded")
    }

    @Test func aFilterThatMatchesNothingFails() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.terminate(SAFilter(connection: "jupiter")) == nil)
        #expect(pair.terminate(SAFilter(ikeID: 77)) == nil)
        #expect(pair.terminate(SAFilter(childID: 77)) == nil)
        #expect(pair.moon.manager.rekey(SAFilter(child: "other"), reauthenticate: false, at: pair.now) == 0)
        pair.expectTunnel()
    }

    @Test func initiatingWhatIsNotThereFailsAtOnce() {
        let pair = MoonAndSun()
        pair.load()
        #expect(!pair.initiate("nothing"))
        #expect(!pair.initiate("net", connection: "jupiter"))
        #expect(!pair.initiate(nil, connection: nil))
        #expect(pair.moon.manager.counters.initiated == 0)
        // A child's name alone will do.
        #expect(pair.initiate("net", connection: nil))
    }

    @Test func initiatingWhatIsUpSucceedsAndMakesNothing() {
        let pair = MoonAndSun()
        pair.bringUp()
        #expect(pair.initiate("net"))
        #expect(pair.initiate(nil))
        #expect(pair.moon.dataplane.inboundInstalled == 1)
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    @Test func anIKESAAloneIsUpWithoutChildren() {
        let pair = MoonAndSun()
        pair.load()
        #expect(pair.initiate(nil))
        #expect(pair.moon.manager.statuses().map(\.state) == [.established])
        #expect(pair.moon.dataplane.inbound.isEmpty)
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 1)
    }

    @Test func terminatingWhatIsBeingNegotiatedEndsItsAttempts() throws {
        let pair = MoonAndSun()
        pair.load { $0.keyingTries = 0 }
        pair.lab.loses = { _, _ in true }
        var failure: Explanation?
        pair.moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { outcome in
            if case .failure(let why) = outcome { failure = why }
        }
        pair.lab.run(seconds: 1)
        let id = try #require(pair.moon.manager.statuses().first?.id)
        #expect(pair.terminate(SAFilter(ikeID: id)) == 1)
        #expect(failure != nil)
        pair.lab.run(seconds: 600)
        #expect(pair.moon.manager.counters.initiated == 1)
        pair.expectNothingLeft()
    }

    @Test func theOutcomeOfAWrongSecretSaysSo() {
        let pair = MoonAndSun()
        pair.load()
        pair.sun.manager.credentials.sharedKeys[0].secret = .init(copying: [1, 2, 3])
        var failure: Explanation?
        pair.moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { outcome in
            if case .failure(let why) = outcome { failure = why }
        }
        pair.lab.run { failure != nil }
        #expect(failure?.description.lowercased().contains("auth") == true)
        pair.lab.run(seconds: 60)
        pair.expectNothingLeft()
    }

    @Test func forceDoesNotWaitForAPeerThatIsGone() {
        let pair = MoonAndSun()
        pair.bringUp()
        pair.lab.loses = { _, _ in true }
        var ended: Int?
        pair.moon.manager.terminate(SAFilter(connection: "sun"), force: true, at: pair.now) { ended = try? $0.get() }
        #expect(ended == 1)
        pair.lab.run(seconds: 10)
        #expect(pair.moon.manager.counters.sessions == 0)
        #expect(pair.moon.dataplane.isEmpty)
        pair.expectOrder()
    }

    @Test func shuttingDownDeletesAllAtThePeer() {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trapAndStart }
        pair.moon.manager.shutDown(at: pair.now)
        pair.lab.run(within: 5) { pair.moon.manager.counters.sessions == 0 }
        pair.expectNothingLeft()
        #expect(!pair.initiate("net"))
    }

    @Test func anSAThatCannotBeInstalledIsDeletedAtThePeerToo() {
        let pair = MoonAndSun()
        pair.load()
        pair.moon.dataplane.refusesInbound = "no room"
        #expect(!pair.initiate("net"))
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.sun.dataplane.inbound.isEmpty)
        #expect(pair.moon.manager.counters.installationsFailed == 1)
        pair.moon.dataplane.refusesInbound = nil
        pair.moon.dataplane.refusesOutbound = "no room"
        #expect(!pair.initiate("net"))
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.inbound.isEmpty && pair.sun.dataplane.inbound.isEmpty)
        pair.moon.dataplane.refusesOutbound = nil
        #expect(pair.initiate("net"))
        pair.expectTunnel()
    }
}
