import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// An IKE SA that ends because the two sides no longer agree on anything: its tunnels come back.
@Suite struct ErrorRecoveryTests {
    /// A request of sun's, with its keys.
    private func send(_ payloads: [Payload], _ pair: MoonAndSun) throws {
        let session = try #require(pair.sun.manager.table.all.first?.session)
        let protection = try #require(session.phase.protection)
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: .informational,
            direction: .request, isFromInitiator: session.role == .initiator,
            messageID: session.window.nextRequestID)
        let bytes = try Message(header: header, encryptedPayloads: payloads).sealed(with: protection.outbound)
        let path = Path(
            local: Endpoint(pair.moon.address, port: 500), remote: Endpoint(pair.sun.address, port: 500))
        pair.moon.receive(bytes, path: path)
    }

    /// What says that we have broken the rules.
    private static let complaint: [Payload] = [.notify(NotifyPayload(.invalidSyntax))]

    @Test(arguments: ["dpd_action", "close_action"])
    func aTunnelThatEndsInAnErrorComesBack(action: String) throws {
        let pair = MoonAndSun()
        pair.bringUp {
            if action == "dpd_action" {
                $0.children[0].deadPeerAction = .restart
            } else {
                $0.children[0].closeAction = .start
            }
        }
        try send(Self.complaint, pair)
        #expect(pair.moon.manager.counters.sessions == 0)
        #expect(pair.moon.dataplane.isEmpty)
        #expect(pair.moon.manager.counters.initiated == 1, "not at once: two that disagree would go on without rest")
        pair.lab.run(within: 10) { pair.moon.dataplane.active("net") != nil }
        pair.lab.run(seconds: 10)
        pair.expectTunnel()
        #expect(pair.moon.manager.counters.initiated == 2)
        #expect(pair.sun.manager.counters.sessions == 1)
    }

    @Test func withoutAnActionItStaysDown() throws {
        let pair = MoonAndSun()
        pair.bringUp()
        try send(Self.complaint, pair)
        pair.lab.run(seconds: 60)
        #expect(pair.moon.manager.counters.initiated == 1)
        #expect(pair.moon.dataplane.isEmpty)
    }
}
