import IPsec
import Packets
import Testing

@testable import IKEv2

/// One connection attempt: its states, and the pauses between its tries.
@Suite struct ConnectionAttemptTests {
    private func attempt(isStanding: Bool = true) -> ConnectionAttempt {
        ConnectionAttempt(
            ConnectionAttempt.Key(connection: "sun", remote: nil), [ConnectionAttempt.Wish("net")],
            isStanding: isStanding)
    }

    private let path = Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(ip("192.0.2.2"), port: 500))

    @Test func aTryGoesFromWaitingToNegotiating() {
        let attempt = attempt()
        #expect(attempt.isWaiting && attempt.isDue(at: 0))
        attempt.beginTry()
        attempt.resolve()
        #expect(attempt.state == .resolving && !attempt.isWaiting && !attempt.isDue(at: .never))
        attempt.negotiate(on: path)
        attempt.began(5)
        #expect(attempt.state == .negotiating && attempt.path == path && attempt.sessionID == 5 && attempt.tries == 1)
        attempt.wait(until: 70)
        #expect(!attempt.isDue(at: 69) && attempt.isDue(at: 70))
    }

    /// A try without a way to the peer is none, and is looked at again soon.
    @Test func withoutAWayItLooksEveryThreeSeconds() {
        let attempt = attempt()
        var pauses: [UInt64] = []
        for _ in 0..<5 {
            attempt.beginTry()
            attempt.foundNoWay()
            pauses.append(attempt.pauseInSeconds)
            attempt.wait(until: 0)
            #expect(attempt.isLookingForWay)
        }
        #expect(pauses == [1, 2, 3, 3, 3] && attempt.tries == 0 && attempt.looks == 5)
        attempt.negotiate(on: path)
        #expect(attempt.looks == 0 && !attempt.isLookingForWay)
    }

    @Test func pausesGrowUnlessNobodyAnswers() {
        let attempt = attempt()
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            attempt.beginTry()
            attempt.ended(isUnanswered: false)
            pauses.append(attempt.pauseInSeconds)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 32, 32])
        attempt.ended(isUnanswered: true)
        #expect(attempt.pauseInSeconds == 1)
        attempt.beginTry()
        #expect(!attempt.isUnanswered, "the next try is another one")
    }

    /// What an operator asks for by hand keeps to the growing pauses.
    @Test func aCommandDoesNotShortenPauses() {
        let attempt = attempt(isStanding: false)
        for _ in 0..<4 { attempt.beginTry() }
        attempt.ended(isUnanswered: true)
        #expect(attempt.pauseInSeconds == 8)
    }

    @Test func joinedWishesKeepTheFirstPacket() {
        let attempt = attempt()
        let packet = TrafficSelector(source: prefix("10.1.0.1/32"), destination: prefix("10.2.0.1/32"))
        let other = TrafficSelector(source: prefix("10.1.0.2/32"), destination: prefix("10.2.0.2/32"))
        attempt.join([.init("net", hint: packet), .init("far")], isStanding: false, isEndless: true)
        attempt.join([.init("net", hint: other)], isStanding: false, isEndless: false)
        #expect(attempt.wishes == [.init("net", hint: packet), .init("far")])
        #expect(attempt.isStanding && attempt.isEndless)
        attempt.leave("net")
        #expect(attempt.wishes == [.init("far")])
    }

    /// Who joins a try that is under way gets one more, if that one stays without an answer.
    @Test func anOwedTryComesOnce() {
        let attempt = attempt()
        #expect(!attempt.takeOwedTry())
        attempt.oweTry()
        attempt.ended(isUnanswered: false)
        #expect(!attempt.takeOwedTry() && attempt.isOwedTry)
        attempt.ended(isUnanswered: true)
        #expect(attempt.takeOwedTry() && !attempt.takeOwedTry())
    }
}

/// The table of attempts: what is found, what failures lead to, and who is told.
@Suite struct ConnectionAttemptsTests {
    private let parts = ManagerParts()
    private var attempts: ConnectionAttempts { parts.attempts }

    private func load(keyingTries: UInt32 = 1) {
        var connection = Connection.moonToSun
        connection.keyingTries = keyingTries
        parts.connections.set([connection])
    }

    private func add(
        to remote: String? = nil, predecessor: UInt32? = nil, isStanding: Bool = false, isEndless: Bool = false
    ) -> ConnectionAttempt {
        let attempt = ConnectionAttempt(
            ConnectionAttempt.Key(connection: "sun", remote: remote.map { Endpoint(ip($0), port: 500) }),
            [ConnectionAttempt.Wish("net")], predecessor: predecessor, isStanding: isStanding, isEndless: isEndless)
        attempts.add(attempt)
        attempt.beginTry()
        return attempt
    }

    @Test func attemptsAreFoundByConnection() {
        let (one, two) = (add(), add(to: "192.0.2.7"))
        let other = ConnectionAttempt(ConnectionAttempt.Key(connection: "mars", remote: nil), [])
        attempts.add(other)
        #expect(attempts.all(of: "sun").map(\.key) == [one.key, two.key] && attempts.all(of: "mars").count == 1)
        #expect(attempts.all(of: "venus").isEmpty && attempts.all.count == 3)
        #expect(attempts.wants(ChildName(connection: "sun", child: "net")))
        #expect(!attempts.wants(ChildName(connection: "mars", child: "net")))
        #expect(attempts.matching(SAFilter(connection: "sun")).count == 2 && attempts.matching(SAFilter()).count == 3)
        #expect(attempts.matching(SAFilter(child: "net")).count == 2 && attempts.matching(SAFilter(ikeID: 1)).isEmpty)
        attempts.remove(one)
        #expect(attempts.all(of: "sun").map(\.key) == [two.key] && !attempts.isCurrent(one))
    }

    /// The last try that `keyingtries` allows: it is given up, and all who wait are told.
    @Test func afterTheLastTryItIsGivenUp() {
        load()
        let attempt = add()
        var failures = 0
        for child in ["net", nil] {
            attempts.addWaiter(connection: "sun", child: child) { if case .failure = $0 { failures += 1 } }
        }
        attempts.failed(attempt, Explanation("the peer refuses"))
        #expect(attempts.isEmpty && !attempts.hasWaiters && failures == 2)
        #expect(parts.output.notes == ["given up after 1 attempt: the peer refuses"])
        attempts.failed(attempt, Explanation("again"))
        #expect(parts.output.notes.count == 1, "what is over does not fail")
    }

    @Test func anEndlessOneIsTriedAgain() {
        load(keyingTries: 1)
        let attempt = add(isStanding: true, isEndless: true)
        attempts.failed(attempt, Explanation("the peer refuses"))
        #expect(attempts.isCurrent(attempt) && attempt.isWaiting)
        #expect(parts.context.nextDeadline == parts.context.after(seconds: 1))
        #expect(parts.output.notes == ["attempt 1 failed, the next one comes in 1 s"])
    }

    /// The configuration wants it: it waits for a way, and says so once.
    @Test func withoutAWayTheStandingOnesWait() {
        load()
        let standing = add(isStanding: true)
        attempts.findsNoWay(standing, Explanation("there is no route"))
        #expect(attempts.isCurrent(standing) && standing.isLookingForWay && standing.tries == 0)
        let asked = add(to: "192.0.2.7")
        attempts.findsNoWay(asked, Explanation("there is no route"))
        #expect(!attempts.isCurrent(asked), "who asks by hand is told")
    }

    @Test func aChildIsTakenOutOfWhatWaits() {
        load()
        let attempt = add()
        attempt.join([ConnectionAttempt.Wish("far")], isStanding: false, isEndless: false)
        attempt.wait(until: .never)
        #expect(attempts.stopWaiting(for: SAFilter(child: "net")) == 1 && attempt.wishes.map(\.child) == ["far"])
        #expect(attempts.stopWaiting(for: SAFilter(child: "far")) == 1 && attempts.isEmpty)
    }

    /// A replacement of an IKE SA is tried once, and later again as long as that lives.
    @Test func aReplacementIsTriedOnce() {
        load(keyingTries: 0)
        let old = parts.establish()
        old.replacement.begin()
        let attempt = add(predecessor: old.id)
        #expect(attempts.isReplacing(attempt))
        let new = parts.establish()
        attempts.follow(old, to: new)
        #expect(attempt.predecessor == new.id)
        attempts.failed(attempt, Explanation("the peer refuses"))
        #expect(attempts.isEmpty)
    }

    /// A peer of which nothing is known but where it was, and that is not there.
    @Test func whoIsNotThereIsForgotten() {
        load()
        let tunnel = RememberedTunnel(connection: "sun", child: "net", peer: Endpoint(ip("192.0.2.7"), port: 500))
        parts.memory.add(tunnel)
        attempts.giveUp(add(to: "192.0.2.7"), Explanation("the peer does not answer"))
        #expect(parts.memory.tunnels.isEmpty)
    }
}
