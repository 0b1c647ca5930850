import Packets
import Testing

@testable import IKEv2

/// Sessions' actions and reports, and what is left to follow from them.
@Suite struct SessionDriverTests {
    private let parts = ManagerParts()

    private func names(_ followUps: [FollowUp]) -> [String] {
        followUps.map { String("\($0)".prefix { $0 != "(" }) }
    }

    @Test func aClosedSessionIsForgottenAndFollowed() {
        let record = parts.begin()
        parts.driver.apply([.closed(.halfOpenTimeout)], of: record)
        #expect(parts.table.count == 0 && parts.context.count.halfOpenTimeouts == 1)
        #expect(names(parts.context.takeFollowUps()) == ["closed"])
        parts.driver.apply([.closed(.halfOpenTimeout)], of: record)
        #expect(parts.context.takeFollowUps().isEmpty, "it is closed once")
    }

    /// What the dataplane refuses is deleted at the peer; nothing follows from its end.
    @Test func anSAThatIsNotTakenIsTold() {
        let record = parts.establish()
        parts.dataplane.refusesInbound = "no room"
        let sa = parts.makeSA()
        parts.driver.apply([.installInbound(sa), .installOutbound(sa), .report(.childUp(sa))], of: record)
        #expect(parts.context.count.installationsFailed == 1 && record.unwantedChildren == [sa.id])
        #expect(parts.context.count.childrenUp == 0, "it is up for the peer only")
        #expect(names(parts.context.takeFollowUps()) == ["notInstalled"])
    }

    @Test func aChildThatIsUpIsRemembered() {
        parts.load([.moonToSun])
        let record = parts.establish()
        let sa = parts.makeSA()
        record.asked.begin(["net": ChildCall(nil, .plain)])
        parts.driver.apply([.installInbound(sa), .installOutbound(sa), .report(.childUp(sa))], of: record)
        #expect(parts.context.count.childrenUp == 1 && record.asked.awaited.isEmpty)
        #expect(parts.memory.has(ChildName(connection: "sun", child: "net")))
        guard case .childUp(_, _, let call?)? = parts.context.takeFollowUps().first else {
            Issue.record("nothing follows")
            return
        }
        #expect(call.manner == .plain)
    }

    /// Sessions take back what they installed; if one does not, its SAs go before it is forgotten.
    @Test func nothingIsLeftInTheDataplane() {
        parts.load([.moonToSun])
        let record = parts.establish()
        let sa = parts.makeSA()
        parts.driver.apply([.installInbound(sa), .installOutbound(sa), .closed(.peerDead)], of: record)
        #expect(parts.dataplane.isEmpty && parts.dataplane.violations == [] && parts.context.count.peersDead == 1)
        #expect(names(parts.context.takeFollowUps()) == ["childLost", "closed"])
    }

    /// What ends because we want it has no sequel, and commands hear of it.
    @Test func anUnwantedChildHasNoSequel() {
        parts.load([.moonToSun])
        let record = parts.establish()
        let sa = parts.makeSA()
        var ended = 0
        parts.terminations.add(children: [sa.id], number: 1) { _ in ended += 1 }
        record.unwantedChildren = [sa.id]
        parts.driver.apply([.report(.childDown(sa, reason: "because"))], of: record)
        #expect(ended == 1 && parts.context.takeFollowUps().isEmpty)
        parts.driver.apply([.report(.childDown(sa, reason: "because"))], of: record)
        #expect(names(parts.context.takeFollowUps()) == ["childClosed"])
    }

    /// A child that was to end while it was rekeyed: its successor ends, and the command waits for that.
    @Test func theEndOfARekeyedChildIsThatOfItsSuccessor() {
        let record = parts.establish()
        let (old, new) = (parts.makeSA(), parts.makeSA())
        var ended = 0
        parts.terminations.add(children: [old.id], number: 1) { _ in ended += 1 }
        record.unwantedChildren = [old.id]
        parts.driver.apply([.report(.childRekeyed(old: old, new: new))], of: record)
        #expect(names(parts.context.takeFollowUps()) == ["endChild"] && record.unwantedChildren.isEmpty)
        parts.terminations.settle(child: old.id)
        #expect(ended == 0)
        parts.terminations.settle(child: new.id)
        #expect(ended == 1)
    }

    @Test func anEndGivesTheAttemptUp() {
        parts.load([.moonToSun])
        parts.initiator.bringUp(.moonToSun, [ConnectionAttempt.Wish("net")])
        parts.table.all.forEach { parts.driver.end($0, .terminated) }
        #expect(parts.attempts.isEmpty && parts.table.count == 0)
        #expect(parts.output.notes.last == "given up after 1 attempt: the IKE SA was terminated")
    }
}

/// The world as sessions see it.
@Suite struct ManagerEnvironmentTests {
    private let parts = ManagerParts()
    private var environment: ManagerEnvironment { parts.driver.environment }

    @Test func numbersAndBytesAreFresh() {
        #expect(Set((0..<100).map { _ in environment.uniqueID() }).count == 100)
        for count in [0, 1, 7, 8, 9, 32] { #expect(environment.random(count: count).count == count) }
        #expect(environment.random(count: 32) != environment.random(count: 32))
    }

    @Test func otherSessionsAreKnown() {
        let (moon, sun) = (Identity.domainName("moon"), Identity.domainName("sun"))
        var connection = Connection.moonToSun
        connection.unique = .keep
        #expect(environment.isFirstContact(local: moon, remote: sun))
        #expect(!environment.refusesDuplicate(connection, local: moon, remote: sun))
        _ = parts.establish(connection)
        #expect(!environment.isFirstContact(local: moon, remote: sun))
        #expect(environment.refusesDuplicate(connection, local: moon, remote: sun))
        #expect(environment.isFirstContact(local: sun, remote: moon))
        connection.name = "mars"
        #expect(!environment.refusesDuplicate(connection, local: moon, remote: sun), "another connection, another peer")
    }
}
