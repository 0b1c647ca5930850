import Packets
import Testing

@testable import IKEv2

/// What this side wants to begin: the order, and what one exchange means to another.
@Suite struct ExchangeQueueTests {
    private func names(_ queue: ExchangeQueue) -> String { queue.waitingNames.joined(separator: " ") }

    private func next(
        _ queue: inout ExchangeQueue, at now: Instant, isAuthenticated: Bool = true
    ) -> (any InitiatedExchange)? {
        queue.next(at: now) { isAuthenticated || $0 == .authentication }
    }

    @Test func oneAfterTheOtherAsTheyAreDue() throws {
        var queue = ExchangeQueue()
        queue.add(LivenessExchange(), notBefore: 100)
        queue.add(DeleteChildExchange(childID: 1, reason: "test"))
        queue.add(WrongMessageIDExchange(messageID: 9), first: true)
        #expect(names(queue) == "IKE_NOTIFY IKE_DPD CHILD_DELETE" && queue.nextStart == 0)
        let candidate = next(&queue, at: 0)
        let first = try #require(candidate)
        queue.began(first)
        let none = next(&queue, at: 100)
        #expect(none == nil, "one at a time")
        let done = queue.finish()
        #expect(done?.name == "IKE_NOTIFY" && queue.active == nil)
        let second = next(&queue, at: 0)
        #expect(second?.name == "CHILD_DELETE")
        let early = next(&queue, at: 99)
        #expect(early == nil && queue.nextStart == 100)
        let third = next(&queue, at: 100)
        #expect(third?.name == "IKE_DPD")
        #expect(queue.nextStart == nil)
    }

    @Test func beforeAuthenticationNothingElseBegins() {
        var queue = ExchangeQueue()
        queue.add(LivenessExchange())
        queue.add(AuthenticationExchange(children: [], hint: nil))
        let held = next(&queue, at: 0, isAuthenticated: false)
        #expect(held == nil)
        queue.add(AuthenticationExchange(children: [], hint: nil), first: true)
        let allowed = next(&queue, at: 0, isAuthenticated: false)
        #expect(allowed?.name == "IKE_AUTH")
    }

    @Test func theDeletionOfTheIKESAComesInsteadOfAllElse() {
        var queue = ExchangeQueue()
        queue.add(LivenessExchange())
        queue.add(DeleteChildExchange(childID: 7, reason: "test"))
        #expect(queue.willDelete(child: 7) && !queue.willDelete(child: 8))
        let isFirst = queue.addLast(DeleteIKEExchange(reason: .terminated))
        let isSecond = queue.addLast(DeleteIKEExchange(reason: .expired))
        #expect(isFirst && !isSecond, "once is enough")
        #expect(names(queue) == "IKE_DELETE")
    }

    @Test func whatIsOfUseGoesToTheHeir() throws {
        let child = try #require(TwoSessions.joined().east.onlyChild).child
        var queue = ExchangeQueue()
        queue.add(LivenessExchange())
        queue.add(RekeyIKEExchange())
        queue.add(DeleteChildExchange(childID: 1, reason: "test"))
        queue.addChild(CreateChildExchange(child: child, hint: nil))
        queue.addChild(CreateChildExchange(child: child, hint: nil))
        #expect(queue.rekeysIKE && queue.probes)
        var heir = ExchangeQueue()
        queue.handOver(to: &heir)
        #expect(names(queue).isEmpty && names(heir) == "CHILD_DELETE CHILD_CREATE")
        #expect(!heir.rekeysIKE && !heir.probes)
    }

    /// RFC 7296 section 2.25.1.
    @Test func whatHasToEndBeforeThePeerMayRekeyTheIKESA() throws {
        let sa = try #require(TwoSessions.joined().east.onlyChild)
        let exchanges: [any InitiatedExchange] = [
            CreateChildExchange(child: sa.child, hint: nil), DeleteChildExchange(childID: 1, reason: "test"),
            DiscardChildExchange(inboundSPI: 1), RekeyIKEExchange(), LivenessExchange(),
            DeleteIKEExchange(reason: .terminated), WrongMessageIDExchange(messageID: 1),
        ]
        #expect(exchanges.map(\.blocksIKERekey) == [true, true, true, false, false, false, false])
        #expect(exchanges.map { $0.endsIKE != nil } == [false, false, false, false, false, true, false])
    }
}
