import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// INFORMATIONAL (RFC 7296 sections 1.4, 2.4, 2.25).
@Suite struct InformationalExchangeTests {
    private func joined(_ change: (TwoSessions) -> Void = { _ in }) -> TwoSessions {
        let bench = TwoSessions()
        change(bench)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        bench.forgetTrace()
        return bench
    }

    private func delete(_ host: TestHost) {
        guard let session = host.session else { return }
        host.perform(session) { $0.delete(environment: host.environment) }
    }

    private func deleteChild(_ host: TestHost) {
        guard let session = host.session, let child = session.children.first else { return }
        host.perform(session) { $0.deleteChild(id: child.id, environment: host.environment) }
    }

    // MARK: - Delete

    @Test func deletingTheIKESA() {
        let bench = joined()
        delete(bench.east)
        #expect(bench.east.session.map(bench.east.status)?.state == .deleting)
        #expect(bench.east.outbound.isEmpty, "nothing is sent in what is about to be deleted")
        bench.run()
        #expect(
            bench.trace == ["<-- INFORMATIONAL request 0 [SK { D(IKE) }]", "INFORMATIONAL response 0 [SK { }] -->"])
        bench.expectNothingLeft()
        #expect(bench.east.closed.map(\.reason) == [.terminated])
        #expect(bench.west.closed.map(\.reason) == [.deletedByPeer])
        #expect(bench.west.childrenDown.count == 1)
        #expect(bench.east.childrenDown.count == 1)
    }

    /// Section 2.25.2 has both answer, and both are rid of it.
    @Test func bothDeleteTheIKESA() {
        let bench = joined()
        delete(bench.east)
        delete(bench.west)
        bench.run()
        #expect(
            bench.trace.prefix(2) == [
                "<-- INFORMATIONAL request 0 [SK { D(IKE) }]", "INFORMATIONAL request 2 [SK { D(IKE) }] -->",
            ])
        bench.expectNothingLeft()
    }

    @Test func deletingTheIKESATwiceIsDeletingItOnce() {
        let bench = joined()
        delete(bench.west)
        delete(bench.west)
        bench.run()
        #expect(bench.trace.count == 2)
        bench.expectNothingLeft()
    }

    /// A peer that is gone does not keep the deletion from its end.
    @Test func deletingTheIKESAOfADeadPeer() {
        let bench = joined()
        bench.network.isCut = true
        delete(bench.west)
        bench.run()
        #expect(bench.west.closed.map(\.reason) == [.terminated])
        #expect(bench.west.sessions.isEmpty)
    }

    /// The peer has forgotten it: without keys it can only say so unprotected.
    @Test func deletingWhatThePeerHasForgotten() {
        let bench = joined()
        bench.network.isCut = true
        delete(bench.west)
        bench.injectPlain(
            to: bench.west, .informational, .response, messageID: 2, [.notify(NotifyPayload(.invalidIKESPI))])
        #expect(bench.west.closed.map(\.reason) == [.terminated])
    }

    @Test func deletingAChild() {
        let bench = joined()
        deleteChild(bench.west)
        bench.run()
        #expect(
            bench.trace == [
                "INFORMATIONAL request 2 [SK { D(ESP × 1) }] -->", "<-- INFORMATIONAL response 2 [SK { D(ESP × 1) }]",
            ])
        bench.expectJoined(children: 0)
        #expect(bench.west.draining.isEmpty)
    }

    /// Section 1.4.1: each side has named its own SA in its request, so neither answer names one.
    @Test func bothDeleteAChild() {
        let bench = joined()
        deleteChild(bench.west)
        deleteChild(bench.east)
        bench.run()
        #expect(
            bench.trace == [
                "INFORMATIONAL request 2 [SK { D(ESP × 1) }] -->", "<-- INFORMATIONAL request 0 [SK { D(ESP × 1) }]",
                "<-- INFORMATIONAL response 2 [SK { }]", "INFORMATIONAL response 0 [SK { }] -->",
            ])
        bench.expectJoined(children: 0)
        #expect(bench.west.childrenDown.count == 1)
        #expect(bench.east.childrenDown.count == 1)
    }

    /// One side deletes the IKE SA while the other deletes its child.
    @Test func theIKESAAndItsChildAreDeletedAtOnce() {
        let bench = joined()
        deleteChild(bench.west)
        delete(bench.east)
        bench.run()
        bench.expectNothingLeft()
        #expect(bench.west.childrenDown.count == 1)
        #expect(bench.east.childrenDown.count == 1)
    }

    @Test func aChildThatIsUnknownIsNotInTheAnswer() {
        let bench = joined()
        bench.injectProtected(
            to: bench.east, .informational, .request, messageID: 2, [.delete(.childSAs(.esp, [1, 2, 3]))])
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
        #expect(bench.east.children.count == 1)
        bench.injectProtected(
            to: bench.east, .informational, .request, messageID: 3, [.delete(.childSAs(.ah, [1]))])
        #expect(bench.trace.last == "<-- INFORMATIONAL response 3 [SK { }]")
    }

    @Test func abandoningSaysNothing() {
        let bench = joined()
        if let session = bench.west.session {
            bench.west.perform(session) { $0.abandon(.superseded, environment: bench.west.environment) }
        }
        #expect(bench.trace.isEmpty)
        #expect(bench.west.sessions.isEmpty)
        #expect(bench.west.inbound.isEmpty)
        #expect(bench.west.draining.count == 1, "packets of the IKE SA that is replaced may be under way")
    }

    // MARK: - Liveness

    @Test func silenceIsAskedAbout() {
        let bench = joined { $0.connection.dpdDelay = 10 }
        bench.pass(seconds: 35)
        #expect(
            bench.trace
                == (2...4).flatMap {
                    ["INFORMATIONAL request \($0) [SK { }] -->", "<-- INFORMATIONAL response \($0) [SK { }]"]
                })
        bench.expectJoined()
    }

    /// ESP of the peer is a sign of life (section 2.4).
    @Test func noQuestionWhilePacketsCome() {
        let bench = joined { $0.connection.dpdDelay = 10 }
        for _ in 1...30 {
            bench.pass(seconds: 1)
            for sa in bench.west.children {
                var usage = ChildUsage()
                usage.lastInbound = bench.now
                bench.west.environment.usages[sa.inboundSPI] = usage
            }
        }
        #expect(bench.trace.isEmpty)
        bench.pass(seconds: 11)
        #expect(bench.trace.count == 2)
    }

    @Test func aDeadPeerIsFound() {
        let bench = joined { $0.connection.dpdDelay = 10 }
        bench.network.isCut = true
        bench.pass(seconds: 9)
        #expect(bench.trace.isEmpty)
        bench.pass(seconds: 60)
        #expect(bench.trace.count == 6)
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
        #expect(bench.west.childrenDown.count == 1)
    }

    @Test func probingOnCommand() {
        let bench = joined()
        if let session = bench.west.session {
            bench.west.perform(session) { $0.probe(environment: bench.west.environment) }
            bench.west.perform(session) { $0.probe(environment: bench.west.environment) }
        }
        bench.run()
        #expect(bench.trace.count == 2, "one question is enough")
    }

    // MARK: - Errors

    @Test func unknownNotifiesAreIgnored() {
        let bench = joined()
        bench.injectProtected(
            to: bench.east, .informational, .request, messageID: 2,
            [
                .notify(NotifyPayload(NotifyType(rawValue: 40_000), data: [1])),
                .notify(NotifyPayload(NotifyType(rawValue: 9_000))), .vendorID(VendorIDPayload([1, 2])),
            ])
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
        #expect(bench.east.session?.isEstablished == true)
    }

    @Test(arguments: [NotifyType.authenticationFailed, .invalidSyntax])
    func anErrorThatEndsTheIKESA(type: NotifyType) {
        let bench = joined()
        bench.injectProtected(
            to: bench.east, .informational, .request, messageID: 2, [.notify(NotifyPayload(type))])
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
        #expect(bench.east.sessions.isEmpty)
        #expect(bench.east.inbound.isEmpty)
    }

    // MARK: - Expiry

    @Test func theHardLimitOfAChild() {
        let bench = joined { $0.connection.children[0].time = Child.Limit(rekey: 0, life: 20, random: 0) }
        bench.pass(seconds: 19)
        bench.expectJoined()
        bench.pass(seconds: 2)
        bench.expectJoined(children: 0)
    }

    @Test func theHardLimitOfTheIKESA() {
        let bench = joined {
            $0.connection.reauthenticationTime = 100
            $0.connection.randomTime = 0
            $0.connection.overTime = 10
        }
        #expect(bench.west.session?.reauthenticateAt.map { ($0 - .start).wholeSeconds } == 101)
        bench.pass(seconds: 111)
        #expect(bench.west.closed.map(\.reason) == [.expired])
        bench.expectNothingLeft()
    }

    /// Up to `randomTime` before the time, never after it.
    @Test func timesComeEarlierByChance() {
        var times: Set<Int> = []
        for seed: UInt8 in 1...20 {
            let bench = joined {
                $0.connection.reauthenticationTime = 1000
                $0.connection.randomTime = 100
                _ = $0.west.environment.random(count: Int(seed))
            }
            let time = ((bench.west.session?.reauthenticateAt ?? 0) - .start).wholeSeconds
            #expect(900...1001 ~= time)
            times.insert(time)
        }
        #expect(times.count > 10)
    }

    /// AUTH_LIFETIME (RFC 4478) comes before our own time.
    @Test func theLifetimeThatTheResponderAsksFor() throws {
        let bench = TwoSessions()
        bench.network.faults[4] = .lost
        bench.initiate()
        bench.pass(milliseconds: 100)
        let answer = try #require(bench.contents(of: 4))
        bench.injectProtected(
            to: bench.west, .authentication, .response, messageID: 1,
            answer + [.notify(NotifyPayload(.authenticationLifetime, data: [0, 0, 0, 100]))])
        #expect(bench.west.session?.reauthenticateAt == bench.now + .seconds(90))
    }
}
