import IPsec
import Packets
import Testing

@testable import IKEv2

/// The children of an IKE SA that are awaited, and how they were asked for.
@Suite struct AskedChildrenTests {
    private let packet = TrafficSelector(source: prefix("10.1.0.1/32"), destination: prefix("10.2.0.1/32"))

    @Test func aNegotiationBeginsWithChildren() {
        var asked = AskedChildren()
        asked.begin(["net": ChildCall(packet, .hinted), "far": ChildCall(nil, .plain)])
        #expect(asked.awaited == ["net", "far"] && asked.beganWith("net") && !asked.beganWith("near"))
        #expect(asked.cameUp("net")?.packet == packet && asked.awaited == ["far"])
        #expect(asked.cameUp("net") == nil, "it is up once more")
        #expect(asked.all == ["net", "far"])
    }

    @Test func oneThatIsAwaitedIsNotAskedForTwice() {
        var asked = AskedChildren()
        #expect(asked.want("net") && !asked.want("net") && !asked.wantMore(of: "net"))
        #expect(!asked.beganWith("net") && asked.all == ["net"])
        asked.ask("net", ChildCall(packet, .hinted))
        #expect(asked.cameUp("net")?.manner == .hinted)
        #expect(asked.wantMore(of: "net") && asked.awaited == ["net"])
    }

    @Test func onlyWhatIsAwaitedFails() {
        var asked = AskedChildren()
        #expect(!asked.failed("net").wasAwaited)
        _ = asked.want("net")
        asked.ask("net", ChildCall(packet, .hinted))
        let (wasAwaited, call) = asked.failed("net")
        #expect(wasAwaited && call?.manner == .hinted && asked.awaited.isEmpty)
        asked.askAgain("net", ChildCall(packet, .plain))
        #expect(asked.awaited == ["net"] && asked.failed("net").call?.manner == .plain)
    }

    /// What comes up in the new IKE SA was asked for in the old one.
    @Test func aRekeyTakesAllAlong() {
        var old = AskedChildren()
        old.begin(["net": ChildCall(nil, .plain)])
        _ = old.want("far")
        var new = old.handOver()
        #expect(old.awaited.isEmpty && new.awaited == ["net", "far"] && new.all == ["net", "far"])
        #expect(!new.beganWith("net"), "that negotiation is over")
        #expect(new.cameUp("net")?.manner == .plain && old.cameUp("net") == nil)
    }

    @Test func anotherChildOfThatNameIsAnotherOne() {
        var asked = AskedChildren()
        asked.begin(["net": ChildCall(nil, .plain)])
        asked.forget("net")
        #expect(!asked.beganWith("net") && asked.awaited == ["net"])
    }
}
