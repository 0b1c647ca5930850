import IPsec
import Packets
import Testing

@testable import IKEv2

/// The children of the dataplane are those of the tables, whatever happens: seeded sequences of all that makes, changes and
/// ends CHILD_SAs, with a look after each event.
@Suite struct OneTruthTests {
    private enum Event: CaseIterable {
        case initiation, childRekey, peersChildRekey, bothChildRekeys, rekey, peersRekey, bothRekeys
        case reauthentication, peersReauthentication, childDeletion, peersChildDeletion, deletion, softLimit, hardLimit
        case otherAddress, restart, peersRestart, refusedInbound, refusedOutbound, loss, mapping
    }

    @Test(arguments: [UInt64](1...12)) func theDataplaneHasWhatTheTablesSay(seed: UInt64) {
        let pair = MoonAndSun()
        let chance = TestEnvironment(seed: seed)
        func number(below limit: Int) -> Int { Int(chance.random(count: 1)[0]) % limit }
        pair.lab.addAddress(ip("192.0.2.9"), of: pair.moon)
        load(pair)
        for _ in 0..<60 {
            happen(Event.allCases[number(below: Event.allCases.count)], pair)
            // Half of the time in the middle of what follows.
            pair.lab.run(seconds: Double(number(below: 8)) * 0.015)
            expectAgreement(pair)
            if number(below: 2) == 0 { pair.lab.run(seconds: Double(number(below: 20))) }
            expectAgreement(pair)
            for host in [pair.moon, pair.sun] {
                host.dataplane.refusesInbound = nil
                host.dataplane.refusesOutbound = nil
            }
            pair.lab.loses = { _, _ in false }
        }
        pair.lab.run(seconds: 300)
        expectAgreement(pair, isSettled: true)
        for host in [pair.moon, pair.sun] { host.manager.shutDown(at: pair.now) }
        pair.lab.run(seconds: 60)
        pair.expectNothingLeft()
    }

    private func load(_ pair: MoonAndSun) {
        pair.load(
            { $0.localAddresses = [] },
            sun: {
                $0.remoteAddresses = []
                $0.unique = .replace
            })
    }

    private func happen(_ event: Event, _ pair: MoonAndSun) {
        let (moon, sun) = (pair.moon, pair.sun)
        let (all, net) = (SAFilter(connection: nil), SAFilter(child: "net"))
        func rekey(_ hosts: [LabHost], _ filter: SAFilter, reauthenticate: Bool = false) {
            for host in hosts { _ = host.manager.rekey(filter, reauthenticate: reauthenticate, at: pair.now) }
        }
        func end(_ host: LabHost, _ filter: SAFilter) {
            host.manager.terminate(filter, force: false, at: pair.now) { _ in }
        }
        func initiate() { moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { _ in } }
        switch event {
        case .initiation: initiate()
        case .childRekey: rekey([moon], net)
        case .peersChildRekey: rekey([sun], net)
        case .bothChildRekeys: rekey([moon, sun], net)
        case .rekey: rekey([moon], all)
        case .peersRekey: rekey([sun], all)
        case .bothRekeys: rekey([moon, sun], all)
        case .reauthentication: rekey([moon], all, reauthenticate: true)
        case .peersReauthentication: rekey([sun], all, reauthenticate: true)
        case .childDeletion: end(moon, net)
        case .peersChildDeletion: end(sun, net)
        case .deletion: end(moon, SAFilter(connection: "sun"))
        case .softLimit: limit(moon, pair) { .softLimit(inboundSPI: $0) }
        case .hardLimit: limit(sun, pair) { .hardLimit(inboundSPI: $0) }
        case .otherAddress:
            let next = moon.source == nil ? ip("192.0.2.9") : nil
            moon.source = next
            moon.manager.networkChanged([next ?? moon.address], at: pair.now)
        case .restart, .peersRestart:
            (event == .restart ? moon : sun).restart()
            load(pair)
            initiate()
        case .refusedInbound:
            sun.dataplane.refusesInbound = "no room"
            rekey([moon], net)
        case .refusedOutbound:
            moon.dataplane.refusesOutbound = "no room"
            rekey([sun], net)
        case .loss:
            pair.lab.loses = { number, _ in !number.isMultiple(of: 3) }
            rekey([moon], net)
        case .mapping:
            limit(sun, pair) { .mappingChanged(inboundSPI: $0, remote: Endpoint(ip("192.0.2.9"), port: 4500)) }
        }
    }

    private func limit(_ host: LabHost, _ pair: MoonAndSun, _ event: (SPI) -> DataplaneEvent) {
        guard let spi = host.dataplane.active("net")?.inboundSPI else { return }
        host.manager.handle(event(spi), at: pair.now)
    }

    /// - Parameter isSettled: nothing is under way that a dataplane has refused.
    private func expectAgreement(
        _ pair: MoonAndSun, isSettled: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for host in [pair.moon, pair.sun] {
            let (manager, dataplane) = (host.manager, host.dataplane)
            var known: [SPI: ChildTable.Entry] = [:]
            for record in manager.table.all {
                for entry in record.session.childTable.entries {
                    #expect(
                        known.updateValue(entry, forKey: entry.sa.inboundSPI) == nil, sourceLocation: sourceLocation)
                }
            }
            // What it has beside the tables' only drains, and does not send.
            for spi in dataplane.inbound.keys where known[spi] == nil {
                #expect(manager.installer.isInstalled(spi), sourceLocation: sourceLocation)
                #expect(manager.installer.find(spi) == nil, sourceLocation: sourceLocation)
                #expect(dataplane.outbound[spi] == nil, sourceLocation: sourceLocation)
            }
            #expect(manager.installer.count == dataplane.inbound.count, sourceLocation: sourceLocation)
            var missing: UInt64 = 0
            for (spi, entry) in known {
                let (inbound, outbound) = (dataplane.inbound[spi], dataplane.outbound[spi])
                #expect(inbound.map { $0.path == entry.sa.path } ?? true, sourceLocation: sourceLocation)
                #expect(outbound == nil || entry.sends, sourceLocation: sourceLocation)
                #expect(outbound == nil || manager.installer.isUp(spi), sourceLocation: sourceLocation)
                if inbound == nil || entry.sends && !manager.installer.isUp(spi) { missing += 1 }
            }
            let refused = isSettled ? 0 : UInt64(manager.counters.installationsFailed)
            #expect(missing <= refused, "the dataplane lacks children", sourceLocation: sourceLocation)
            #expect(dataplane.violations == [], sourceLocation: sourceLocation)
        }
    }
}
