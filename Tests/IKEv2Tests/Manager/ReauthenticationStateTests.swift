import Packets
import Testing

@testable import IKEv2

/// New IKE SAs beside old ones: when they begin, and when the old ones go.
@Suite struct ReauthenticationStateTests {
    private let parts = ManagerParts()
    private let key = ConnectionAttempt.Key(connection: "sun", remote: nil)

    private func establish() -> SessionRecord {
        parts.load([.moonToSun])
        return parts.establish()
    }

    @Test func aSuccessorIsNegotiatedBesideTheOldOne() throws {
        let old = establish()
        old.replacement.refuse(["net"])
        #expect(parts.reauthentication.reauthenticate(old))
        let attempt = try #require(parts.attempts[key])
        #expect(attempt.predecessor == old.id && attempt.wishes == [ConnectionAttempt.Wish("net")])
        #expect(old.replacement.isUnderWay && old.replacement.successor == attempt.sessionID)
        #expect(!parts.reauthentication.reauthenticate(old), "it is being done")
    }

    /// While another negotiation with the peer is under way it has to wait.
    @Test func itWaitsForAnotherAttempt() {
        let old = establish()
        parts.attempts.add(ConnectionAttempt(key, []))
        old.replacement.refuse(["net"])
        parts.reauthentication.isDue(old)
        #expect(!old.replacement.isUnderWay)
        #expect(parts.context.nextDeadline == parts.context.after(seconds: 30))
    }

    @Test func theOldOneGoesWhenTheNewOneHasAll() {
        let (old, new) = (establish(), establish())
        new.replacement.predecessor = old.id
        _ = new.asked.want("net")
        parts.reauthentication.finish(new)
        #expect(!old.isUnwanted && new.replacement.predecessor == old.id)
        _ = new.asked.cameUp("net")
        parts.reauthentication.finish(new)
        #expect(old.isUnwanted && new.replacement.predecessor == nil)
    }

    /// The silent IKE SA is over before its successor is there: that ends with it, unless something else wants it.
    @Test(arguments: [true, false]) func aSuccessorForSilenceEndsWithTheOldOne(isStanding: Bool) throws {
        let old = establish()
        parts.reauthentication.replaceSilent(old, since: parts.context.now)
        let attempt = try #require(parts.attempts[key])
        #expect(old.replacement.lostAt == parts.context.now)
        if isStanding { attempt.join([], isStanding: true, isEndless: false) }
        parts.reauthentication.closed(old, .peerDead)
        #expect(parts.attempts.isEmpty != isStanding)
    }

    /// INITIAL_CONTACT says that the peer has no other; `unique = never` keeps all.
    @Test(arguments: [Connection.Uniqueness.never, .replace, .no]) func earlierOnesGoAsUniqueSays(
        unique: Connection.Uniqueness
    ) {
        var connection = Connection.moonToSun
        connection.unique = unique
        parts.load([connection])
        let old = parts.establish(connection)
        parts.pass(seconds: 5)
        let new = parts.establish(connection)
        parts.reauthentication.replaceEarlier([old], by: new, initialContact: false)
        #expect((old.replacement.supersededAt == parts.context.after(seconds: 10)) == (unique == .replace))
        parts.reauthentication.replaceEarlier([old], by: new, initialContact: true)
        #expect(old.isUnwanted == (unique != .never))
    }
}
