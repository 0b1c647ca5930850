import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Peers that may have lost an IKE SA: hints that anybody can give, and packets that nobody answers.
@Suite struct DoubtTests {
    /// An unprotected INVALID_SPI about the SA that moon sends by, or another one (RFC 7296 section 1.5).
    private func notice(_ pair: MoonAndSun, spi: SPI? = nil, from address: IPAddress? = nil) throws {
        let spi = try spi ?? #require(pair.moon.dataplane.active("net")?.outboundSPI)
        let header = IKEHeader(
            initiatorSPI: 0, responderSPI: 0, exchange: .informational, direction: .request, isFromInitiator: true,
            messageID: 0)
        let data = spi.bytes
        let message = Message(header: header, payloads: [.notify(NotifyPayload(.invalidSPI, data: data))])
        deliver(try message.encoded(), pair, from: address)
    }

    /// An unprotected INVALID_IKE_SPI about moon's IKE SA (section 2.21.4).
    private func hint(_ pair: MoonAndSun, from address: IPAddress? = nil) throws {
        let session = try #require(pair.moon.manager.table.all.first?.session)
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: .informational,
            direction: .response, isFromInitiator: session.role == .responder,
            messageID: session.window.nextRequestID)
        let message = Message(header: header, payloads: [.notify(NotifyPayload(.invalidIKESPI))])
        deliver(try message.encoded(), pair, from: address)
    }

    private func deliver(_ bytes: [UInt8], _ pair: MoonAndSun, from address: IPAddress?) {
        pair.moon.receive(
            bytes,
            path: Path(
                local: Endpoint(pair.moon.address, port: 500),
                remote: Endpoint(address ?? pair.sun.address, port: 500)))
    }

    private func restartSun(_ pair: MoonAndSun) {
        pair.sun.restart()
        pair.sun.manager.load([.sunToMoon], replacingAll: true, at: pair.now)
    }

    // MARK: The peer has lost the SA

    enum Reason: CaseIterable { case invalidSPI, invalidIKESPI, silence }

    private func raise(_ reason: Reason, _ pair: MoonAndSun) throws {
        switch reason {
        case .invalidSPI: try notice(pair)
        case .invalidIKESPI: try hint(pair)
        case .silence:
            let spi = try #require(pair.moon.dataplane.active("net")?.inboundSPI)
            pair.moon.manager.handle(.unanswered(inboundSPI: spi), at: pair.now)
        }
    }

    /// The peer was restarted, and would not say anything by itself: the tunnel is back within two seconds.
    @Test(arguments: Reason.allCases, [true, false])
    func aPeerThatForgotIsCalledAnew(reason: Reason, isBusy: Bool) throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        let old = try #require(pair.moon.dataplane.active("net"))
        restartSun(pair)
        pair.lab.run(seconds: 3)
        if isBusy {
            // Something waits for its answer already, and would be repeated more and more rarely.
            _ = pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: false, at: pair.now)
        }
        try raise(reason, pair)
        // It says that it does not know the IKE SA, which makes it faster.
        #expect(pair.lab.run(within: 0.5) { pair.sun.dataplane.active("net") != nil })
        pair.lab.run(seconds: 0.2)
        pair.expectTunnel()
        pair.expectPacketsArrive()
        #expect(pair.moon.dataplane.active("net")?.inboundSPI != old.inboundSPI)
        #expect(pair.moon.manager.counters.sessions == 1)
        #expect(pair.moon.manager.counters.peersDoubted == 1)
        // It costs nothing later on.
        pair.lab.run(seconds: 120)
        #expect(pair.moon.dataplane.inbound.count == 1)
        #expect(pair.moon.manager.counters.initiated == 2 && pair.moon.manager.counters.sessions == 1)
        pair.expectTunnel()
    }

    /// Without DPD nobody asked for silence to be noticed; a hint counts all the same.
    @Test(arguments: Reason.allCases)
    func withoutLivenessChecks(reason: Reason) throws {
        let pair = MoonAndSun()
        pair.bringUp()
        restartSun(pair)
        pair.lab.run(seconds: 3)
        try raise(reason, pair)
        pair.lab.run(seconds: 2)
        let isBack = pair.sun.dataplane.active("net") != nil
        #expect(isBack == (reason != .silence))
    }

    /// A peer that says nothing at all of messages that it does not know.
    @Test(arguments: Reason.allCases)
    func aPeerThatForgotInSilence(reason: Reason) throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        restartSun(pair)
        pair.lab.run(seconds: 3)
        let begun = pair.sun.initialRequests.count
        pair.lab.loses = { _, path in path.local.address == pair.sun.address && pair.sun.initialRequests.count == begun
        }
        try raise(reason, pair)
        #expect(pair.lab.run(within: 1.2) { pair.sun.dataplane.active("net") != nil })
        pair.lab.run(seconds: 0.2)
        pair.expectTunnel()
    }

    /// The peer needs longer than the quick questions to be back.
    @Test func aPeerThatIsBackLater() throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.dpdDelay = 5
            $0.children[0].deadPeerAction = .restart
        }
        pair.lab.loses = { _, path in path.remote == Endpoint(pair.sun.address, port: 500) }
        pair.lab.run(seconds: 1)
        try raise(.silence, pair)
        pair.lab.run(seconds: 100)
        restartSun(pair)
        pair.lab.loses = { _, _ in false }
        #expect(pair.lab.run(within: 5) { pair.sun.dataplane.active("net") != nil })
        pair.lab.run(seconds: 60)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.sessions == 1)
    }

    /// A dead peer's tunnel that is not to come back does not, although its successor was being negotiated.
    @Test(arguments: [Child.DeadPeerAction.clear, .restart], [UInt32(0), 1])
    func afterTheEndDpdActionDecides(action: Child.DeadPeerAction, tries: UInt32) throws {
        let pair = MoonAndSun()
        pair.bringUp {
            $0.dpdDelay = 5
            $0.keyingTries = tries
            $0.children[0].deadPeerAction = action
        }
        pair.lab.run(seconds: 1)
        pair.lab.loses = { _, _ in true }
        try raise(.silence, pair)
        pair.lab.run(seconds: 100)
        #expect(
            (pair.moon.manager.waitingAttempts(matching: SAFilter()) + pair.moon.manager.counters.sessions == 0)
                == (action == .clear))
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 30)
        #expect((pair.moon.dataplane.active("net") != nil) == (action == .restart))
        pair.expectOrder()
    }

    // MARK: The peer has not

    @Test(arguments: Reason.allCases)
    func aPeerThatAnswersKeepsItsSAs(reason: Reason) throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        let old = try #require(pair.moon.dataplane.active("net"))
        pair.lab.run(seconds: 3)
        for _ in 0..<500 {
            try raise(reason, pair)
            pair.lab.run(seconds: 0.01)
        }
        pair.lab.run(seconds: 30)
        #expect(pair.moon.dataplane.active("net")?.inboundSPI == old.inboundSPI)
        #expect(pair.moon.manager.counters.initiated == 1 && pair.moon.manager.counters.peersDoubted == 1)
        pair.expectTunnel()
    }

    /// A hint while the way is cut: it was a lie, or came too late. What is up lives on.
    @Test(arguments: Reason.allCases)
    func aCutOfAFewSecondsChangesNothing(reason: Reason) throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        pair.lab.run(seconds: 3)
        pair.lab.loses = { _, _ in true }
        try raise(reason, pair)
        pair.lab.run(seconds: 5)
        #expect(pair.moon.dataplane.active("net") != nil && pair.moon.manager.counters.peersDead == 0)
        pair.lab.loses = { _, _ in false }
        pair.lab.run(seconds: 60)
        pair.expectTunnel()
        pair.expectPacketsArrive()
        for host in [pair.moon, pair.sun] {
            #expect(host.manager.counters.sessions == 1 && host.dataplane.inbound.count == 1)
        }
    }

    @Test func othersAreNotHeard() throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        let sa = try #require(pair.moon.dataplane.active("net"))
        pair.lab.run(seconds: 3)
        try notice(pair, from: ip("192.0.2.77"))
        try notice(pair, spi: SPI(sa.outboundSPI.value ^ 1))
        try hint(pair, from: ip("192.0.2.77"))
        pair.moon.manager.handle(.unanswered(inboundSPI: 4711), at: pair.now)
        #expect(pair.moon.manager.counters.peersDoubted == 0)
        // Nobody answers a notice (section 1.5).
        #expect(pair.moon.manager.counters.unprotectedErrorsSent == 0)
    }

    /// What was heard a moment ago, by IKE or by ESP, is no silence.
    @Test func silenceIsNoneWhileTheOthersAreHeard() throws {
        let pair = MoonAndSun()
        pair.bringUp { $0.dpdDelay = 30 }
        pair.lab.run(seconds: 3)
        pair.moon.dataplane.lastInbound = pair.now - .milliseconds(100)
        try raise(.silence, pair)
        #expect(pair.moon.manager.counters.peersDoubted == 0)
        pair.lab.run(seconds: 1)
        try raise(.silence, pair)
        #expect(pair.moon.manager.counters.peersDoubted == 1)
        // Traffic of one way alone is asked after every ten seconds, and sooner once there was an answer.
        pair.lab.run(seconds: 5)
        try raise(.silence, pair)
        #expect(pair.moon.manager.counters.peersDoubted == 1)
        pair.moon.dataplane.lastInbound = pair.now
        pair.lab.run(seconds: 2.1)
        try raise(.silence, pair)
        #expect(pair.moon.manager.counters.peersDoubted == 2)
    }
}
