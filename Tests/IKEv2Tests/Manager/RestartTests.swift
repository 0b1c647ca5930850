import Packets
import Testing

@testable import IKEv2

/// Children that end again and again soon after they came up.
@Suite struct RestartTests {
    private let name = ChildName(connection: "sun", child: "net")
    private let second = Duration.seconds(1)

    @Test func pausesGrowAndEnd() {
        var restarts = Restarts()
        var pauses: [UInt64?] = []
        for index in 0..<9 {
            pauses.append(restarts.pause(of: name, life: second, at: .start + second * index))
            _ = restarts.end(name)
        }
        #expect(pauses == [0, 1, 2, 4, 8, 16, 32, 64, 64])
        #expect(restarts.pause(of: name, life: second * 60, at: .start + second * 1000) == 0, "it lived long")
    }

    @Test func oneThatWaitsIsNotStartedTwice() {
        var restarts = Restarts()
        _ = restarts.pause(of: name, life: .zero, at: 0)
        #expect(restarts.pause(of: name, life: .zero, at: 0) == 1 && restarts.isWaiting(name))
        #expect(restarts.pause(of: name, life: .zero, at: 0) == nil)
        #expect(restarts.end(name) && !restarts.end(name) && !restarts.isWaiting(name))
    }

    @Test func whatIsNotLoadedIsForgotten() {
        var restarts = Restarts()
        for _ in 0..<2 { _ = restarts.pause(of: name, life: .zero, at: 0) }
        restarts.forget(name)
        #expect(!restarts.isWaiting(name) && !restarts.end(name))
        #expect(restarts.pause(of: name, life: .zero, at: 0) == 0)
    }
}

/// Keepalives towards a NAT in front of us.
@Suite struct KeepaliveTests {
    private let parts = ManagerParts()

    @Test func oneGoesOutWhenNothingElseDid() throws {
        let keepalives = Keepalives(context: parts.context)
        let record = parts.establish()
        keepalives.begin(record)
        #expect(parts.context.timerCount == 0, "there is no NAT")
        record.session.nat.isLocal = true
        for _ in 0..<2 { keepalives.begin(record) }
        #expect(parts.context.timerCount == 1, "one timer is enough")
        let interval = parts.context.settings.keepaliveInSeconds
        parts.pass(seconds: Double(interval) / 2)
        record.lastSentAt = parts.context.now
        parts.pass(seconds: Double(interval) / 2)
        keepalives.isDue(record)
        #expect(parts.output.keepalives == 0 && parts.context.timerCount == 2)
        parts.pass(seconds: Double(interval))
        keepalives.isDue(record)
        #expect(parts.output.keepalives == 1 && parts.context.count.keepalivesSent == 1)
        // The NAT is gone: the timer ends, and may begin again.
        record.session.nat.isLocal = false
        let timers = parts.context.timerCount
        keepalives.isDue(record)
        #expect(parts.context.timerCount == timers)
        record.session.nat.isLocal = true
        keepalives.begin(record)
        #expect(parts.context.timerCount == timers + 1)
    }
}

/// Commands that wait for the end of SAs.
@Suite struct TerminationTests {
    private let terminations = Terminations()

    @Test func eachIsToldWhenAllOfItIsGone() {
        var told: [Int] = []
        terminations.add(sessions: [1, 2], number: 2) { told.append((try? $0.get()) ?? -1) }
        terminations.add(children: [5], number: 1) { told.append((try? $0.get()) ?? -1) }
        terminations.settle(session: 1)
        terminations.settle(session: 5)
        #expect(told.isEmpty, "an IKE SA is no CHILD_SA")
        terminations.settle(child: 5)
        #expect(told == [1])
        terminations.settle(session: 2)
        #expect(told == [1, 2] && terminations.isEmpty)
    }

    @Test func rekeysAreFollowed() {
        var told = 0
        terminations.add(sessions: [1], children: [5], number: 2) { _ in told += 1 }
        terminations.follow(1, to: 3)
        terminations.followChild(5, to: 6)
        for id: UInt32 in [1, 5] { terminations.settle(session: id, child: id) }
        #expect(told == 0)
        terminations.settle(session: 3, child: 6)
        #expect(told == 1 && terminations.isEmpty)
    }

    /// An outcome may lead to the next command.
    @Test func anOutcomeMayAddAnother() {
        var told = 0
        terminations.add(sessions: [1], number: 1) { [terminations] _ in
            terminations.add(sessions: [2], number: 1) { _ in told += 1 }
        }
        terminations.settle(session: 1)
        #expect(!terminations.isEmpty)
        terminations.settle(session: 2)
        #expect(told == 1)
    }

    /// Nothing is left to wait for.
    @Test func whatIsGoneAlreadyIsToldAtOnce() {
        var told = 0
        terminations.add(number: 3) { _ in told += 1 }
        terminations.settle()
        #expect(told == 1)
    }
}
