import Packets
import Testing

@testable import IKEv2

/// Each message lost, doubled, delayed and overtaken in turn: the outcome is the same, and every answer to a repetition
/// is the first one byte for byte (RFC 7296 section 2.1).
@Suite struct LossTests {
    static let faults: [Fault] = [
        .lost, .doubled, .delayed(milliseconds: 700), .delayed(milliseconds: 2500), .overtaken,
    ]

    @Test(arguments: 1...4, faults)
    func anIKESAComesUp(number: Int, fault: Fault) {
        let bench = TwoSessions()
        bench.network.faults[number] = fault
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.east.childrenUp.count == 1)
        #expect(bench.east.established.count == 1)
        expectRepetitionsAreEqual(bench)
    }

    @Test(arguments: 1...6, faults)
    func anIKESAIsDeleted(number: Int, fault: Fault) {
        let bench = TwoSessions()
        bench.network.faults[number] = fault
        bench.initiate()
        bench.run()
        if let session = bench.west.session {
            bench.west.perform(session) { $0.delete(environment: bench.west.environment) }
        }
        bench.run()
        bench.expectNothingLeft()
        #expect(bench.west.closed.map(\.reason) == [.terminated])
        #expect(bench.east.closed.map(\.reason) == [.deletedByPeer])
        expectRepetitionsAreEqual(bench)
    }

    @Test(arguments: 5...6, faults)
    func aChildIsDeleted(number: Int, fault: Fault) {
        let bench = TwoSessions()
        bench.network.faults[number] = fault
        bench.initiate()
        bench.run()
        if let session = bench.east.session, let child = session.children.first {
            bench.east.perform(session) { $0.deleteChild(id: child.id, environment: bench.east.environment) }
        }
        bench.run()
        bench.expectJoined(children: 0)
        #expect(bench.west.childrenDown.count == 1)
        #expect(bench.east.childrenDown.count == 1)
        expectRepetitionsAreEqual(bench)
    }

    @Test(arguments: 5...6, faults)
    func thePeerIsAlive(number: Int, fault: Fault) {
        let bench = TwoSessions()
        bench.connection.dpdDelay = 10
        bench.network.faults[number] = fault
        bench.initiate()
        bench.run()
        bench.pass(seconds: 15)
        bench.run()
        bench.expectJoined()
        #expect(bench.trace.contains { $0.hasPrefix("INFORMATIONAL request 2 [SK { }]") })
        expectRepetitionsAreEqual(bench)
    }

    /// All fragments of IKE_AUTH in turn.
    @Test(arguments: 3...9, faults)
    func aFragmentedIKEAUTHComesThrough(number: Int, fault: Fault) {
        let bench = TwoSessions()
        for host in [bench.west, bench.east] { host.environment.settings.fragmentSizeInBytes = 140 }
        bench.network.faults[number] = fault
        bench.initiate()
        bench.run()
        bench.expectJoined()
        #expect(bench.network.sent >= 9, "IKE_AUTH has less fragments than this test tries")
        expectRepetitionsAreEqual(bench)
    }

    /// The responder is up as soon as it has answered IKE_AUTH, and may have something to say at once. What arrives
    /// before the answer is left alone until that has come: the peer repeats it.
    @Test(arguments: [1280, 140]) func aRequestOvertakesTheAnswerToIKEAUTH(fragmentSize: Int) throws {
        for wants in ["a child", "a sign of life", "an end"] {
            let bench = TwoSessions()
            for host in [bench.west, bench.east] { host.environment.settings.fragmentSizeInBytes = fragmentSize }
            bench.initiate()
            bench.pass(milliseconds: 25)
            bench.network.latency = .milliseconds(300)
            bench.pass(milliseconds: 10)
            bench.network.latency = .milliseconds(10)
            let session = try #require(bench.east.session)
            let environment = bench.east.environment
            #expect(session.isEstablished && bench.west.session?.isEstablished == false)
            bench.east.perform(session) {
                switch wants {
                case "a child": $0.create(.test("more", network: 2, remoteNetwork: 1), environment: environment)
                case "a sign of life": $0.probe(environment: environment)
                default: $0.delete(environment: environment)
                }
            }
            bench.run()
            if wants == "an end" {
                bench.expectNothingLeft()
                #expect(bench.west.failures.isEmpty)
            } else {
                bench.expectJoined(children: wants == "a child" ? 2 : 1, "\(wants)")
            }
            expectRepetitionsAreEqual(bench)
        }
    }

    /// A loss of everything for a while is a loss of several messages.
    @Test func anOutageIsOutlived() {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        bench.pass(seconds: 5)
        bench.network.isCut = false
        bench.run()
        bench.expectJoined()
        #expect(bench.trace.filter { $0.hasSuffix("(again, lost) -->") }.count == 2)
    }

    /// Nothing comes: the first wait is a second, each further 1.8 times as long, and after five repetitions it is over.
    @Test func aPeerThatDoesNotAnswerIsGivenUp() {
        let bench = TwoSessions()
        bench.network.isCut = true
        bench.initiate()
        bench.run()
        #expect(bench.trace.count == 6)
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
        #expect(bench.west.failures.map(\.what) == ["the peer does not answer"])
        // 1 + 1.8 + 3.24 + 5.832 + 10.497 + 18.895 seconds.
        #expect((bench.now - .start - .seconds(1)).wholeSeconds == 41)
    }

    /// One datagram of a direction and message is like every other one of it.
    private func expectRepetitionsAreEqual(_ bench: TwoSessions) {
        // Header and initialization vector name a message; no two that differ may have the same.
        var seen: [[UInt8]: [UInt8]] = [:]
        for datagram in bench.datagrams {
            let isFragment = datagram.count > 16 && datagram[16] == 53
            let key = Array(datagram.prefix(24)) + (isFragment ? Array(datagram[32..<36]) : [])
            #expect(seen[key] == nil || seen[key] == datagram)
            seen[key] = datagram
        }
    }
}
