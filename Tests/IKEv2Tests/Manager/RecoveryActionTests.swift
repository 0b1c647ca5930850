import Packets
import Testing

@testable import IKEv2

/// Actions after the end of a CHILD_SA: for each reason the one that is configured for it.
@Suite struct RecoveryActionTests {
    private let parts = ManagerParts()

    /// What is left after the end of a CHILD_SA: a trap, an attempt, or neither.
    private func after(_ reason: CloseReason, _ change: (inout Child) -> Void) -> (traps: Int, attempts: Int) {
        var connection = Connection.moonToSun
        change(&connection.children[0])
        parts.load([connection])
        let record = parts.establish(connection)
        parts.recovery.sessionClosed(parts.makeSA(of: connection.children[0]), of: record, reason)
        return (parts.covers.traps.count, parts.attempts.all.count)
    }

    @Test func nothingComesOfWhatWeWanted() {
        for reason: CloseReason in [.terminated, .rekeyed, .reauthenticated, .superseded, .halfOpenTimeout] {
            let left = after(reason) {
                $0.closeAction = .trapAndStart
                $0.deadPeerAction = .trapAndRestart
            }
            #expect(left == (0, 0), "\(reason)")
        }
    }

    @Test func aDeadPeerHasItsOwnAction() {
        #expect(after(.peerDead) { $0.closeAction = .start } == (0, 0))
        #expect(after(.peerDead) { $0.deadPeerAction = .trap } == (1, 0))
        #expect(after(.peerDead) { $0.deadPeerAction = .restart }.attempts == 1)
    }

    @Test func aDeletionIsACloseAction() {
        #expect(after(.deletedByPeer) { $0.deadPeerAction = .restart } == (0, 0))
        #expect(after(.expired) { $0.closeAction = .trapAndStart } == (1, 1))
    }

    /// Two sides that fall out again and again wait before they begin.
    @Test func afterAQuarrelThereIsAPause() {
        #expect(after(.negotiationFailed(Explanation("a quarrel"))) { $0.closeAction = .start }.attempts == 1)
        #expect(parts.attempts.all.first?.isWaiting == true && parts.context.count.initiated == 0)
    }

    /// The same child ends a moment after it came up: pauses grow.
    @Test func whatEndsAtOnceStartsLater() throws {
        var connection = Connection.moonToSun
        connection.children[0].closeAction = .start
        parts.load([connection])
        let name = ChildName(connection: "sun", child: "net")
        for _ in 0..<2 {
            let record = parts.establish(connection)
            parts.recovery.childClosed(parts.makeSA(of: connection.children[0]), connection.children[0], of: record)
            parts.attempts.all.forEach(parts.attempts.remove)
        }
        #expect(parts.recovery.isWaiting(name))
        #expect(parts.output.notes.last == "child net has ended soon after it came up, and starts again in 1 s")
        parts.recovery.restart(name, towards: Endpoint(ip("192.0.2.2"), port: 500))
        #expect(!parts.recovery.isWaiting(name) && parts.attempts.all.count == 1)
        parts.recovery.forget(name)
        parts.recovery.restart(name, towards: Endpoint(ip("192.0.2.2"), port: 500))
        #expect(parts.context.count.initiated == 2, "it was not waiting any more")
    }
}
