import Packets
import Testing

@testable import IKEv2

/// The ways to find a session, and what each costs.
@Suite struct SessionTableTests {
    private let parts = ManagerParts()
    private var table: SessionTable { parts.table }

    @Test func sessionsAreFoundAndForgotten() throws {
        let record = parts.begin()
        #expect(table[record.id] === record && table.session(ownSPI: record.ownSPI) === record)
        #expect(table.sessions(of: "sun").map(\.id) == [record.id], "our own are found before they are established")
        #expect(!table.hasEstablished(at: ip("192.0.2.2")))
        table.setEstablished(record, between: IdentityPair(local: .domainName("moon"), remote: .domainName("sun")))
        let identities = IdentityPair(local: .domainName("MOON"), remote: .domainName("Sun"))
        #expect(table.sessions(between: identities).map(\.id) == [record.id], "whatever the case")
        #expect(table.hasEstablished(at: ip("192.0.2.2")) && table.hasSession(of: .domainName("moon"), with: .any))
        table.remove(record)
        #expect(table.count == 0 && table.session(ownSPI: record.ownSPI) == nil && table.sessions(of: "sun").isEmpty)
        #expect(table.sessions(between: identities).isEmpty && !table.hasEstablished(at: ip("192.0.2.2")))
        #expect(table.established(awayFrom: []).isEmpty)
    }

    @Test func anAddressIsKnownAsLongAsOneSessionIsThere() {
        let (one, two) = (parts.establish(), parts.establish())
        let changes = table.addressChanges
        table.remove(one)
        #expect(table.hasEstablished(at: ip("192.0.2.2")) && table.addressChanges == changes)
        table.remove(two)
        #expect(!table.hasEstablished(at: ip("192.0.2.2")) && table.addressChanges == changes + 1)
    }

    /// Only those are looked at that an address of ours is gone for.
    @Test func lostAddressesNameTheirSessions() {
        let (one, two) = (parts.establish(at: "192.0.2.1"), parts.establish(at: "192.0.2.5"))
        _ = parts.begin(at: "192.0.2.6")
        #expect(table.established(awayFrom: [ip("192.0.2.1"), ip("192.0.2.5")]).isEmpty)
        #expect(table.established(awayFrom: [ip("192.0.2.5")]).map(\.id) == [one.id])
        two.session.path = Path(local: Endpoint(ip("192.0.2.1"), port: 500), remote: two.session.path.remote)
        table.countAddresses(of: two)
        #expect(table.established(awayFrom: [ip("192.0.2.5")]).map(\.id) == [one.id, two.id])
        #expect(table.established(awayFrom: [ip("192.0.2.1")]).isEmpty)
    }

    /// Of a connection that is for all peers only as many are looked at as it takes.
    @Test func theNewestIsFoundFirst() {
        let records = (0..<100).map { _ in parts.establish() }
        var looks = 0
        let found = table.newestSession(of: "sun") { record in
            looks += 1
            return record.id <= records[98].id
        }
        #expect(found === records[98] && looks == 2)
        #expect(table.newestSession(of: "mars") { _ in true } == nil)
    }

    /// Whichever goes, the others keep their order.
    @Test(arguments: [7, 11, 13]) func sessionsOfAConnectionGoInAnyOrder(step: Int) {
        let records = (0..<20).map { _ in parts.establish() }
        var left = records.map(\.id)
        for index in 0..<20 {
            let gone = records[index * step % 20]
            left.removeAll { $0 == gone.id }
            table.remove(gone)
            table.remove(gone)
            #expect(table.sessions(of: "sun").map(\.id) == left)
            #expect(table.newestSession(of: "sun") { _ in true }?.id == left.last)
        }
        let next = parts.establish()
        #expect(table.sessions(of: "sun").map(\.id) == [next.id])
    }
}

/// Timers, the clock, and what is left for later.
@Suite struct ManagerContextTests {
    private let context = ManagerContext(settings: .impatient, output: RecordingOutput(), now: 100)

    @Test func timeDoesNotGoBack() {
        context.advance(to: 200)
        context.advance(to: 150)
        #expect(context.now == 200 && context.after(seconds: 1) == 1_000_000_200)
        #expect(context.after(seconds: .max) == .never)
    }

    @Test func timersComeInTheirOrder() {
        context.wake(.drain(2), at: 120)
        context.wake(.drain(1), at: 110)
        #expect(context.nextDueTimer() == nil && context.nextDeadline == 110)
        context.advance(to: 130)
        var spis: [SPI] = []
        while case .drain(let spi) = context.nextDueTimer() { spis.append(spi) }
        #expect(spis == [1, 2] && context.timerCount == 0)
        for spi: UInt32 in 0..<10 { context.wake(.drain(SPI(spi)), at: 200) }
        context.keepTimers { if case .drain(let spi) = $0 { spi < 3 } else { false } }
        #expect(context.timerCount == 3)
    }

    /// What follows from what follows comes behind it.
    @Test func whatFollowsIsTakenOnce() {
        let parts = ManagerParts()
        for _ in 0..<2 { parts.context.later(.end(parts.begin())) }
        #expect(parts.context.takeFollowUps().count == 2 && parts.context.takeFollowUps().isEmpty)
    }
}
