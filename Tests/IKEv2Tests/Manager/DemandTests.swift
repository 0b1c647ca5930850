import IPsec
import Packets
import Testing

@testable import IKEv2

/// Packets that call for an SA: ours, and those of peers.
@Suite struct DemandTests {
    private let parts = ManagerParts()
    private let packet = TrafficSelector(source: prefix("10.1.0.5/32"), destination: prefix("10.2.0.9/32"))
    private let key = ConnectionAttempt.Key(connection: "sun", remote: nil)

    private func load(_ action: Child.Action) throws -> UInt32 {
        var connection = Connection.moonToSun
        connection.children[0].startAction = action
        parts.connections.set([connection])
        _ = parts.covers.connectionsChanged()
        parts.covers.configureTrap(connection.children[0], of: connection)
        parts.covers.cover(connection)
        return try #require(parts.dataplane.covers["sun/net"]?.requestID)
    }

    @Test func onePacketBeginsOneAttempt() throws {
        let id = try load(.trap)
        for _ in 0..<5 { parts.demand.acquire(id, packet) }
        #expect(parts.context.count.initiated == 1 && parts.context.count.acquiresSuppressed == 4)
        #expect(parts.attempts[key]?.wishes == [ConnectionAttempt.Wish("net", hint: packet)])
        parts.demand.acquire(id + 1, packet)
        #expect(parts.context.count.acquiresSuppressed == 4, "nothing is covered by that id")
    }

    /// After a failure packets wait, each cause with its own pause.
    @Test func packetsWaitAfterAFailure() throws {
        let id = try load(.trap)
        parts.backoffs.failed("sun", .authentication, at: parts.context.now)
        parts.demand.acquire(id, packet)
        #expect(parts.attempts.isEmpty && parts.context.count.acquiresSuppressed == 1)
        parts.pass(seconds: 1)
        parts.demand.acquire(id, packet)
        #expect(parts.context.count.initiated == 1)
    }

    @Test func anIKESAThatIsAskedIsEnough() throws {
        let id = try load(.trap)
        let record = parts.establish()
        _ = record.asked.want("net")
        parts.demand.acquire(id, packet)
        #expect(parts.attempts.isEmpty && parts.context.count.acquiresSuppressed == 1)
    }

    @Test func aPeerThatGoesOnIsCalledOnce() throws {
        _ = try load(.start)
        for _ in 0..<3 { parts.demand.unknownESP(from: ip("192.0.2.2")) }
        #expect(parts.context.count.peersCalled == 1 && parts.context.count.initiated == 1)
        parts.demand.unknownESP(from: ip("198.51.100.1"))
        #expect(parts.context.count.peersCalled == 1, "nobody is configured there")
    }

    /// Only what the configuration wants, or what was up, comes back by that.
    @Test func onlyWhatIsWantedIsCalledFor() throws {
        _ = try load(.none)
        parts.demand.unknownESP(from: ip("192.0.2.2"))
        #expect(parts.context.count.peersCalled == 0)
        parts.memory.add(RememberedTunnel(connection: "sun", child: "net"))
        parts.peerCalls.end(ChildName(connection: "sun", child: "net"))
        parts.demand.unknownESP(from: ip("192.0.2.2"))
        #expect(parts.context.count.peersCalled == 0, "an operator has ended it")
        parts.peerCalls.allow("sun", nil)
        parts.demand.unknownESP(from: ip("192.0.2.2"))
        #expect(parts.context.count.peersCalled == 1)
    }
}
