import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// The doors alone: which first requests are let in, and what strangers may bring about.
@Suite struct AdmissionLimitTests {
    private let parts: ManagerParts
    private let admission: Admission
    private let stranger = ip("198.51.100.7")

    init() {
        var settings = ProtocolSettings.impatient
        settings.cookieThreshold = 2
        settings.maximumHalfOpen = 4
        settings.maximumHalfOpenPerAddress = 3
        parts = ManagerParts(settings: settings)
        admission = Admission(
            context: parts.context, table: parts.table, connections: parts.connections, processorTime: { 0 })
    }

    private func path(_ remote: IPAddress) -> Path {
        Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: Endpoint(remote, port: 500))
    }

    private func judge(from address: IPAddress, spi: UInt64 = 1, cookie: [UInt8]? = nil) throws -> Admission.Verdict {
        var payloads = [Payload.nonce(NoncePayload(Array(repeating: 3, count: 32)))]
        if let cookie { payloads.insert(.notify(NotifyPayload(.cookie, data: cookie)), at: 0) }
        let header = IKEHeader(
            initiatorSPI: spi, responderSPI: 0, exchange: .initial, direction: .request, isFromInitiator: true,
            messageID: 0)
        let bytes = try Message(header: header, payloads: payloads).encoded()
        return admission.judge(bytes, header, path: path(address), admission.slot(of: address))
    }

    /// A negotiation of a peer at an address, in the table.
    private func begin(from address: IPAddress) {
        let record = parts.begin()
        parts.table.remove(record)
        let other = SessionRecord(record.session, beganAt: 0, slot: admission.slot(of: address))
        #expect(parts.table.add(other))
    }

    @Test func connectionsAndPeersMakeAddressesKnown() {
        #expect(admission.standing(of: ip("192.0.2.2")) == .stranger)
        parts.connections.set([.moonToSun])
        #expect(admission.standing(of: ip("192.0.2.2")) == .known && admission.standing(of: stranger) == .stranger)
        _ = parts.establish(peer: "198.51.100.7")
        #expect(admission.standing(of: stranger) == .known)
    }

    /// Behind the threshold a cookie is asked for, and whoever shows it comes in.
    @Test func aCookieOpensTheDoor() throws {
        guard case .admitted = try judge(from: stranger) else {
            Issue.record("there was no reason to ask for a cookie")
            return
        }
        for _ in 0..<2 { begin(from: ip("203.0.113.1")) }
        parts.table.all.last.map { parts.table.endHalfOpen($0) }
        begin(from: ip("203.0.113.2"))
        guard case .cookie(let cookie) = try judge(from: stranger) else {
            Issue.record("no cookie was asked for")
            return
        }
        guard case .cookie = try judge(from: stranger, cookie: [1, 2, 3]) else {
            Issue.record("a wrong cookie is answered with a new one")
            return
        }
        _ = try judge(from: stranger, cookie: cookie)
        let count = parts.context.count
        #expect(count.cookiesSent == 2 && count.cookiesRejected == 1 && count.cookiesAccepted == 1)
    }

    /// Strangers have half of the places; the rest is for those who are known.
    @Test func strangersHaveHalfOfThePlaces() throws {
        parts.connections.set([.moonToSun])
        for address in ["203.0.113.1", "203.0.114.1"] { begin(from: ip(address)) }
        guard case .cookie(let cookie) = try judge(from: stranger),
            case .refused = try judge(from: stranger, cookie: cookie), case .admitted = try judge(from: ip("192.0.2.2"))
        else {
            Issue.record("the places are not kept apart")
            return
        }
        #expect(parts.context.count.refusedHalfOpen == 1)
    }

    @Test func whatIsTooLongOrTooLateIsRefused() {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 0, exchange: .initial, direction: .request, isFromInitiator: true,
            messageID: 0)
        let slot = admission.slot(of: stranger)
        let long = [UInt8](repeating: 0, count: 8193)
        guard case .refused = admission.judge(long, header, path: path(stranger), slot) else {
            Issue.record("a request of 8193 bytes was let in")
            return
        }
        #expect(parts.context.count.malformed == 1)
        parts.context.shutDown()
        guard case .refused = admission.judge([], header, path: path(stranger), slot) else {
            Issue.record("somebody was let in at the end")
            return
        }
        #expect(parts.context.count.malformed == 1)
    }

    /// Each answer to an unknown neighbour costs the kernel an entry of a small table.
    @Test func unknownNeighboursGetFewAnswers() {
        parts.output.hasUnknownNeighbours = true
        let answered = (0..<100).count { _ in admission.mayReach(path(stranger), .stranger) }
        #expect(answered == 16 && parts.context.count.answersHeldBack == 84)
        #expect((0..<100).allSatisfy { _ in admission.mayReach(path(stranger), .known) })
    }

    @Test func unprotectedErrorsAreFew() {
        let sent = (0..<100).count { _ in admission.maySendError(path(stranger)) }
        #expect(sent == 20 && parts.context.count.unprotectedErrorsSent == 20)
        #expect(parts.context.count.unprotectedErrorsSuppressed == 80)
        parts.pass(seconds: 1)
        #expect(admission.maySendError(path(stranger)))
    }

    /// One peer's complaints keep nobody else's out of the log.
    @Test func complaintsAreByAddress() {
        #expect((0..<100).count { _ in admission.mayComplain(of: stranger) } == 5)
        #expect(admission.mayComplain(of: ip("203.0.113.1")))
    }

    /// The last refused sessions stay for their answers.
    @Test func onlySoManyRefusedSessionsStay() {
        var refused = RefusedSessions()
        for id in 0..<UInt32(RefusedSessions.capacity) { #expect(refused.add(id) == nil) }
        #expect(refused.add(1000) == 0 && refused.add(1001) == 1)
    }
}
