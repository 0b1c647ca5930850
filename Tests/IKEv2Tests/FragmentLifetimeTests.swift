import IKEv2Messages
import Testing

@testable import IKEv2

/// Fragments whose message does not become complete are not kept for ever (RFC 7383 section 2.6).
@Suite struct FragmentLifetimeTests {
    /// The pieces of an INFORMATIONAL request of the west's.
    private func fragments(_ bench: TwoSessions) throws -> [[UInt8]] {
        let session = try #require(bench.west.session)
        let protection = try #require(session.phase.protection)
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: .informational,
            direction: .request, isFromInitiator: true, messageID: 2)
        let notify = NotifyPayload(NotifyType(rawValue: 40_000), data: [UInt8](repeating: 7, count: 300))
        return try Message(header: header, encryptedPayloads: [.notify(notify)])
            .sealed(with: protection.outbound, maximumLength: 140)
    }

    @Test func theyAreForgottenWhenTheRestDoesNotCome() throws {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        bench.expectJoined()
        let fragments = try fragments(bench)
        try #require(fragments.count > 2)
        bench.forgetTrace()
        bench.inject(fragments[0], to: bench.east)
        #expect(bench.east.session?.opener.isEmpty == false)
        bench.pass(seconds: 30)
        bench.inject(fragments[1], to: bench.east)
        bench.pass(seconds: 31)
        #expect(bench.east.session?.opener.isEmpty == false, "the set that still grows is kept")
        bench.pass(seconds: 30)
        #expect(bench.east.session?.opener.isEmpty == true)
        #expect(bench.east.nextDeadline == nil)
        // The rest is not enough any more; all of them are.
        for fragment in fragments.dropFirst(2) { bench.inject(fragment, to: bench.east) }
        #expect(bench.trace.isEmpty)
        for fragment in fragments { bench.inject(fragment, to: bench.east) }
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
        #expect(bench.east.session?.opener.isEmpty == true)
        #expect(bench.east.nextDeadline == nil)
        bench.expectJoined()
    }
}
