import IPsec
import Packets
import Testing

@testable import IKEv2

/// Tries of connection attempts, and children that are asked for, without a peer.
@Suite struct InitiatorTests {
    private let parts = ManagerParts()
    private let key = ConnectionAttempt.Key(connection: "sun", remote: nil)

    private func connection(_ change: (inout Connection) -> Void = { _ in }) -> Connection {
        var connection = Connection.moonToSun
        change(&connection)
        parts.load([connection])
        return connection
    }

    private var attempt: ConnectionAttempt? { parts.attempts[key] }

    @Test func aTryBeginsASession() throws {
        parts.initiator.bringUp(connection(), [ConnectionAttempt.Wish("net")])
        let attempt = try #require(attempt)
        let record = try #require(attempt.sessionID.flatMap { parts.table[$0] })
        #expect(attempt.state == .negotiating && attempt.tries == 1 && record.attempt === attempt)
        #expect(record.asked.awaited == ["net"] && record.session.path.remote == Endpoint(ip("192.0.2.2"), port: 500))
        #expect(parts.context.count.initiated == 1 && parts.output.sent == 1)
        // Who wants more joins.
        parts.initiator.bringUp(connection(), [ConnectionAttempt.Wish("far")], isEndless: true)
        #expect(parts.context.count.initiated == 1 && attempt.wishes.map(\.child) == ["net", "far"])
    }

    @Test func withoutARouteItWaitsForOne() {
        parts.output.source = nil
        let anywhere = connection { $0.localAddresses = [] }
        parts.initiator.bringUp(anywhere, [ConnectionAttempt.Wish("net")], isStanding: true)
        #expect(attempt?.isLookingForWay == true && parts.context.count.initiated == 0)
        parts.output.source = ip("192.0.2.1")
        parts.initiator.networkChanged()
        #expect(attempt?.state == .negotiating && parts.context.count.initiated == 1)
    }

    @Test func aNameIsResolvedFirst() throws {
        let named = connection { $0.remoteAddresses = [.name("sun.example.org")] }
        parts.initiator.bringUp(named, [ConnectionAttempt.Wish("net")])
        #expect(attempt?.state == .resolving)
        let question = try #require(parts.output.questions.last)
        let answer = try #require(parts.connections.answer(question.request, [ip("192.0.2.9")]))
        guard case .attempt(key) = answer.purpose else {
            Issue.record("the question was asked for something else")
            return
        }
        parts.initiator.resolved(key, name: answer.name, [ip("192.0.2.9")])
        #expect(attempt?.path?.remote.address == ip("192.0.2.9"))
    }

    /// What nobody answers is over with its session, and the next try is put off.
    @Test func theEndOfASessionIsTheEndOfATry() throws {
        let endless = connection { $0.keyingTries = 0 }
        parts.initiator.bringUp(endless, [ConnectionAttempt.Wish("net")], isStanding: true)
        let record = try #require(parts.table.all.first)
        parts.initiator.closed(record, .peerDead)
        let attempt = try #require(attempt)
        #expect(attempt.isWaiting && attempt.isUnanswered && record.attempt == nil)
        parts.initiator.tryIfDue(key)
        #expect(attempt.tries == 1, "its time has not come")
        parts.pass(seconds: 1)
        parts.initiator.tryIfDue(key)
        #expect(attempt.tries == 2 && attempt.state == .negotiating)
    }

    /// Packets make the first request go out again, but not more often than every three seconds.
    @Test func nudgesAreFew() {
        let loaded = connection()
        parts.initiator.bringUp(loaded, [ConnectionAttempt.Wish("net")])
        for _ in 0..<10 { parts.initiator.nudge(loaded) }
        #expect(parts.output.sent == 1)
        parts.pass(seconds: 3)
        for _ in 0..<10 { parts.initiator.nudge(loaded) }
        #expect(parts.output.sent == 2)
    }

    @Test func aPauseComesFirstWhereItIsWanted() {
        parts.initiator.bringUp(connection(), [ConnectionAttempt.Wish("net")], afterAPause: true)
        #expect(attempt?.isWaiting == true && attempt?.tries == 0 && parts.output.sent == 0)
        parts.initiator.bringUp(connection(), [], isUrgent: true)
        #expect(attempt?.state == .negotiating, "an operator does not wait")
    }

    @Test func atTheEndNothingBegins() {
        let loaded = connection()
        parts.context.shutDown()
        parts.initiator.bringUp(loaded, [ConnectionAttempt.Wish("net")])
        #expect(parts.attempts.isEmpty)
    }
}
