import Packets
import Testing

@testable import IKEv2

/// Operators' commands, without a peer.
@Suite struct CommandTests {
    private let parts = ManagerParts()

    @Test func aCommandThatMeansNothingFailsAtOnce() {
        parts.load([.moonToSun])
        var failures = 0
        for (connection, child) in [("mars", nil), ("sun", "far"), (nil, nil)] as [(String?, String?)] {
            parts.commands.initiate(connection: connection, child: child) { if case .failure = $0 { failures += 1 } }
        }
        for filter in [SAFilter(), SAFilter(child: "net"), SAFilter(ikeID: 4)] {
            parts.commands.terminate(filter, force: false) { if case .failure = $0 { failures += 1 } }
        }
        #expect(failures == 6 && parts.attempts.isEmpty && parts.terminations.isEmpty)
    }

    /// Who ends what is being brought up ends the attempt, and who waits for it is told.
    @Test func anAttemptIsTerminated() throws {
        parts.load([.moonToSun])
        var outcomes: [String] = []
        parts.commands.initiate(connection: "sun", child: "net") {
            if case .failure = $0 { outcomes.append("given up") }
        }
        #expect(parts.attempts.hasWaiters && parts.commands.waitingAttempts(matching: SAFilter()) == 0)
        parts.commands.terminate(SAFilter(connection: "sun"), force: true) {
            outcomes.append("\((try? $0.get()) ?? 0) ended")
        }
        #expect(outcomes == ["given up", "1 ended"] && parts.attempts.isEmpty && parts.table.count == 0)
        #expect(parts.peerCalls.isEnded(ChildName(connection: "sun", child: "net")), "packets do not bring it back")
    }

    @Test func attemptsThatWaitAreCounted() {
        parts.load([.moonToSun])
        parts.initiator.bringUp(.moonToSun, [ConnectionAttempt.Wish("net")], afterAPause: true)
        #expect(parts.commands.waitingAttempts(matching: SAFilter(connection: "sun")) == 1)
        #expect(parts.commands.waitingAttempts(matching: SAFilter(connection: "mars")) == 0)
    }

    @Test func oneIKESAIsFoundByItsNumber() {
        let (one, _) = (parts.establish(), parts.establish())
        #expect(parts.commands.matching(SAFilter(ikeID: one.id)).map(\.id) == [one.id])
        #expect(parts.commands.matching(SAFilter(connection: "mars", ikeID: one.id)).isEmpty)
        #expect(parts.commands.matching(SAFilter(connection: "sun")).count == 2)
    }

    @Test func theEndLeavesNothing() {
        parts.load([.moonToSun])
        parts.initiator.bringUp(.moonToSun, [ConnectionAttempt.Wish("net")])
        parts.commands.shutDown()
        #expect(parts.context.isShuttingDown && parts.attempts.isEmpty && parts.table.count == 0)
    }
}
