import IPsec
import Packets
import Testing

@testable import IKEv2

/// What the reports of an end say of what has ended: its state, its algorithms, its times and what it carried.
@Suite struct FinalStatusTests {
    /// "ike" and "child", in the order of the reports.
    private func ends(_ host: LabHost) -> [String] {
        host.events.compactMap { event in
            switch event.event {
            case .closed: "ike \(event.ike.state.rawValue)"
            case .session(.childDown(let sa, _)): "child \(child(sa, event)?.state.rawValue ?? "unknown")"
            default: nil
            }
        }
    }

    private func child(_ sa: ChildSA, _ event: ManagerEvent) -> ChildSAStatus? {
        event.ike.children.first { $0.sa.id == sa.id }
    }

    private func downs(_ host: LabHost) -> [(ike: IKESAStatus, child: ChildSAStatus)] {
        host.events.compactMap { event in
            guard case .session(.childDown(let sa, _)) = event.event, let child = child(sa, event) else { return nil }
            return (event.ike, child)
        }
    }

    /// Both ends are up, and three packets have come to each.
    private func used() throws -> MoonAndSun {
        let pair = MoonAndSun()
        pair.bringUp()
        for host in [pair.moon, pair.sun] {
            let sa = try #require(host.dataplane.active("net"))
            for _ in 0..<3 { host.dataplane.countPacket(by: sa) }
        }
        return pair
    }

    @Test func theEndOfAnIKESAIsToldBeforeThatOfItsChildren() throws {
        let pair = try used()
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.lab.run(seconds: 1)
        for host in [pair.moon, pair.sun] {
            #expect(ends(host) == ["ike DELETING", "child INSTALLED"], "\(host.address)")
            let closed = try #require(host.events.first { if case .closed = $0.event { true } else { false } })
            #expect(closed.ike.suite != nil && closed.ike.function != nil && closed.ike.keyExchange != nil)
            #expect(closed.ike.localIdentity != nil && closed.ike.remoteIdentity != nil)
            let down = try #require(downs(host).first)
            #expect(down.ike.suite != nil && down.ike.state == .deleting)
            #expect(down.child.usage.inboundPackets == 3)
            #expect(down.child.rekeyAt != nil && down.child.expiresAt != nil)
        }
    }

    @Test func aChildThatIsDeletedSaysWhatItCarried() throws {
        let pair = try used()
        #expect(pair.terminate(SAFilter(child: "net")) == 1)
        pair.lab.run(seconds: 1)
        for host in [pair.moon, pair.sun] {
            #expect(ends(host) == ["child DELETED"], "\(host.address)")
            let down = try #require(downs(host).first)
            #expect(down.ike.state == .established && down.child.usage.inboundPackets == 3)
            #expect(down.child.rekeyAt != nil && down.child.expiresAt != nil)
        }
    }

    @Test func aRekeyedChildSaysWhatTheOldOneCarried() throws {
        let pair = try used()
        #expect(pair.moon.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now) == 1)
        pair.lab.run(seconds: 2)
        for host in [pair.moon, pair.sun] {
            let rekeys = host.events.compactMap { event -> (old: ChildSAStatus?, new: ChildSAStatus?)? in
                guard case .session(.childRekeyed(let old, let new)) = event.event else { return nil }
                return (child(old, event), child(new, event))
            }
            #expect(rekeys.count == 1)
            #expect(rekeys.first?.old?.state == .rekeyed && rekeys.first?.new?.state == .installed)
            #expect(rekeys.first?.old?.usage.inboundPackets == 3, "\(host.address)")
            #expect(rekeys.first?.old?.rekeyAt != nil && rekeys.first?.old?.expiresAt != nil)
            #expect(ends(host).isEmpty)
        }
    }

    /// Nobody has deleted anything: all is as it was when the peer was heard last.
    @Test func aDeadPeersSAsEndAsTheyWere() throws {
        let pair = try used()
        pair.lab.loses = { _, _ in true }
        #expect(pair.moon.manager.rekey(SAFilter(child: "net"), reauthenticate: false, at: pair.now) == 1)
        pair.lab.run(within: 600) { pair.moon.manager.counters.sessions == 0 }
        #expect(ends(pair.moon) == ["ike ESTABLISHED", "child REKEYING"])
        #expect(downs(pair.moon).first?.child.usage.inboundPackets == 3)
    }
}
