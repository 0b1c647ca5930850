import IKEv2
import Packets
import Testing

@testable import ControlPlane

/// Events about SAs: which ones there are, and their shapes.
@Suite struct SessionEventTests {
    static let now = Instant.start + Samples.second * 100

    static func event(_ event: SessionEvent, _ ike: IKESAStatus = Samples.session()) -> (
        name: String, message: VICIMessage
    )? {
        SessionEvents.message(ManagerEvent(ike: ike, event: .session(event)), now: now)
    }

    @Test func anIKESAGoesUpAndDown() throws {
        let up = try #require(Self.event(.established(initialContact: true)))
        #expect(up.name == "ike-updown")
        #expect(up.message["up"] == "yes")
        #expect(up.message.fields.first?.name == "up")
        #expect(up.message.section("moon")?["uniqueid"] == "6")
        #expect(up.message.section("moon")?.section("child-sas") == nil)
        let closed = ManagerEvent(ike: Samples.session(), event: .closed(.deletedByPeer))
        let down = try #require(SessionEvents.message(closed, now: Self.now))
        #expect(down.name == "ike-updown")
        #expect(down.message["up"] == nil)
        #expect(down.message.section("moon")?["uniqueid"] == "6")
    }

    /// One that never was up has not gone down, and one that was rekeyed lives on in the new one.
    @Test func notEveryEndIsAnEvent() {
        var half = Samples.session()
        half.establishedAt = nil
        #expect(SessionEvents.message(ManagerEvent(ike: half, event: .closed(.peerDead)), now: Self.now) == nil)
        let rekeyed = ManagerEvent(ike: Samples.session(), event: .closed(.rekeyed))
        #expect(SessionEvents.message(rekeyed, now: Self.now) == nil)
    }

    @Test func anIKERekeyShowsBoth() throws {
        let event = try #require(Self.event(.rekeyed(new: Samples.session(9))))
        #expect(event.name == "ike-rekey")
        let both = try #require(event.message.section("moon"))
        #expect(both.section("old")?["uniqueid"] == "6")
        #expect(both.section("new")?["uniqueid"] == "9")
        var replaced = Samples.session()
        replaced.state = .rekeyed
        let other = try #require(Self.event(.rekeyed(new: Samples.session(9)), replaced))
        #expect(other.message.section("moon")?.section("old")?["state"] == "REKEYING")
    }

    /// The new addresses, and the IKE SA as it was.
    @Test func aMoveShowsWhereTo() throws {
        let new = Path(
            local: Samples.path.local, remote: Endpoint(IPAddress(ipv4: 0x0A62_0009), port: 20_001))
        var ike = Samples.session()
        ike.path = new
        let event = try #require(Self.event(.moved(from: Samples.path, to: new), ike))
        #expect(event.name == "ike-update")
        #expect(event.message["local-host"] == "10.98.0.1" && event.message["local-port"] == "4500")
        #expect(event.message["remote-host"] == "10.98.0.9" && event.message["remote-port"] == "20001")
        let section = event.message.section("moon")
        #expect(section?["remote-host"] == "10.98.0.2" && section?["remote-port"] == "4500")
        #expect(section?.section("child-sas") == nil)
    }

    /// What clients of strongSwan register for, all at once.
    @Test(arguments: ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "alert", "log"])
    func clientsCanRegisterFor(event: String) throws {
        try CommandServer.with { server in
            try server.client().register(event)
        }
    }

    @Test func aChildGoesUpAndDownAlone() throws {
        let (first, second) = (try Samples.childSA(7), try Samples.childSA(8))
        let ike = Samples.session(children: [first, second])
        let up = try #require(Self.event(.childUp(second), ike))
        #expect(up.name == "child-updown")
        #expect(up.message["up"] == "yes")
        let children = up.message.section("moon")?.section("child-sas")
        #expect(children?.fields.map(\.name) == ["net-8"])
        #expect(children?.section("net-8")?["packets-in"] == "10")
        // The listing has it no more; what is known of it is told all the same.
        let down = try #require(Self.event(.childDown(second, reason: "over"), Samples.session(children: [first])))
        #expect(down.message["up"] == nil)
        let gone = down.message.section("moon")?.section("child-sas")?.section("net-8")
        #expect(gone?["state"] == "DELETED")
    }

    @Test func aChildRekeyShowsBoth() throws {
        let (old, new) = (try Samples.childSA(7), try Samples.childSA(8, inboundSPI: 0x1_0000))
        let event = try #require(Self.event(.childRekeyed(old: old, new: new), Samples.session(children: [new])))
        #expect(event.name == "child-rekey")
        let both = event.message.section("moon")?.section("child-sas")?.section("net")
        #expect(both?.section("old")?["state"] == "REKEYED")
        #expect(both?.section("new")?["spi-in"] == "00010000")
        #expect(both?.section("new")?["state"] == "INSTALLED")
    }

    @Test func linesSayWhatHappenedAndNoKey() throws {
        let sa = try Samples.childSA()
        let up = EventLine.lines(ManagerEvent(ike: Samples.session(), event: .session(.childUp(sa))))
        #expect(up.count == 1)
        #expect(up.first?.group == .child)
        #expect(up.first?.text.contains("net{7} is up") == true)
        #expect(up.first?.text.contains("10.1.0.0/16 === 10.2.0.0/16[tcp/80]") == true)
        #expect(up.first?.message["ikesa-name"] == "moon")
        #expect(up.first?.message["ikesa-uniqueid"] == "6")
        let why = Explanation(
            "no proposal chosen", details: ["they offered a", "we want b"], remedy: "set proposals = a")
        let failed = EventLine.lines(ManagerEvent(ike: Samples.session(), event: .session(.failed(why))))
        #expect(failed.map(\.level) == [0, 0, 0, 0])
        #expect(failed.first?.text.hasSuffix("no proposal chosen") == true)
        #expect(failed.last?.text == "  set proposals = a")
        let debug = EventLine.lines(ManagerEvent(ike: Samples.session(), event: .note(.debug, "x")))
        #expect(debug.map(\.level) == [2])
    }
}
