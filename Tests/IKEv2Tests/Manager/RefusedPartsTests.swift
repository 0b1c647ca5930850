import IKEv2
import IPsec
import Packets
import Testing

/// A connection or child with a fault is not served, stays closed, and costs nothing else.
@Suite struct RefusedPartsTests {
    private func refused(_ connection: Connection) -> Connection {
        var connection = connection
        connection.isRefused = true
        for index in connection.children.indices { connection.children[index].isRefused = true }
        return connection
    }

    private func warnings(_ host: LabHost) -> [String] {
        host.events.compactMap { if case .note(.warning, let text) = $0.event { text } else { nil } }
    }

    @Test func aRefusedConnectionIsClosedAndServesNobody() {
        let pair = MoonAndSun()
        pair.load { $0 = refused($0) }
        #expect(pair.moon.dataplane.covers["sun/net"]?.acquires == false)
        #expect(!pair.initiate("net") && !pair.initiate(nil) && !pair.initiate("net", connection: nil))
        #expect(pair.moon.manager.counters.initiated == 0)
        // Neither is the peer let in.
        var outcome: Result<Void, Explanation>?
        pair.sun.manager.initiate(connection: "moon", child: "net", at: pair.now) { outcome = $0 }
        pair.lab.run(within: 60) { outcome != nil }
        if case .success = outcome { Issue.record("the peer was let in") }
        #expect(pair.moon.manager.connections.refusedParts == ["sun"])
        #expect(pair.moon.manager.unload("sun", at: pair.now) && pair.moon.dataplane.covers.isEmpty)
    }

    @Test func theOtherChildrenOfAConnectionRun() {
        let pair = MoonAndSun()
        var bad = Child.between("bad", "10.1.0.0/16", "10.9.0.0/16")
        bad.isRefused = true
        let wanted = Child.between("bad", "10.9.0.0/16", "10.1.0.0/16")
        pair.bringUp({ $0.children.insert(bad, at: 0) }, sun: { $0.children.append(wanted) })
        #expect(pair.moon.dataplane.covers["sun/bad"] != nil && !pair.initiate("bad"))
        var outcome: Result<Void, Explanation>?
        pair.sun.manager.initiate(connection: "moon", child: "bad", at: pair.now) { outcome = $0 }
        pair.lab.run(within: 60) { outcome != nil }
        if case .success = outcome { Issue.record("the peer got a child that is refused") }
        pair.expectTunnel()
        #expect(pair.moon.manager.connections.refusedParts == ["sun/bad"])
    }

    /// A reload with a fault in one connection, or in one child, ends nothing that has run.
    @Test(arguments: [true, false])
    func whatWasServedGoesOn(wholeConnection: Bool) {
        let pair = MoonAndSun()
        pair.bringUp { $0.children[0].startAction = .trapAndStart }
        let before = pair.moon.dataplane.active("net")?.inboundSPI
        let sent = pair.lab.sent
        var broken = pair.moon.manager.connections[0]
        if wholeConnection { broken = refused(broken) } else { broken.children[0].isRefused = true }
        broken.children[0].startAction = .none
        broken.children[0].proposals = []
        for _ in 0..<2 { pair.moon.manager.load([broken], replacingAll: true, at: pair.now) }
        pair.lab.run(seconds: 10)
        #expect(pair.moon.dataplane.active("net")?.inboundSPI == before && pair.lab.sent == sent)
        #expect(pair.moon.dataplane.traps.count == 1 && pair.moon.dataplane.covers.count == 1)
        #expect(pair.moon.manager.connections.refusedParts.isEmpty)
        #expect(warnings(pair.moon).contains { $0.contains("goes on as it was before") }, "\(warnings(pair.moon))")
        // Mended, it is as it is written.
        var mended = Connection.moonToSun
        mended.children[0].startAction = .trap
        pair.moon.manager.load([mended], replacingAll: true, at: pair.now)
        #expect(pair.moon.manager.connections == [mended])
    }

    /// What the broken text covers beside it is closed too.
    @Test(arguments: [true, false])
    func whatIsNewInABrokenTextIsClosed(wholeConnection: Bool) {
        let pair = MoonAndSun()
        pair.bringUp()
        let before = pair.moon.dataplane.active("net")?.inboundSPI
        var broken = pair.moon.manager.connections[0]
        broken.children[0].remoteSelectors.append(SelectorSide(addresses: prefix("10.7.0.0/16")))
        var more = Child.between("more", "10.1.0.0/16", "10.8.0.0/16")
        more.isRefused = true
        broken.children.append(more)
        if wholeConnection { broken = refused(broken) } else { broken.children[0].isRefused = true }
        for _ in 0..<2 { pair.moon.manager.load([broken], replacingAll: true, at: pair.now) }
        #expect(pair.moon.dataplane.active("net")?.inboundSPI == before)
        #expect(pair.moon.manager.connections.refusedParts == ["sun/net (refused)", "sun/more"])
        #expect(
            pair.moon.dataplane.covers["sun/net (refused)"]?.selectors.map(\.destination)
                == [prefix("10.2.0.0/16"), prefix("10.7.0.0/16")])
        #expect(pair.moon.dataplane.covers["sun/more"] != nil)
        pair.moon.manager.load([.moonToSun], replacingAll: true, at: pair.now)
        #expect(Set(pair.moon.dataplane.covers.keys) == ["sun/net"])
    }

    /// A fault in one connection leaves the others alone, at a start too.
    @Test func otherConnectionsRun() {
        let pair = MoonAndSun()
        var other = refused(Connection.between("moon", "192.0.2.1", "10.1.0.0/16", "mars", "192.0.2.3", "10.3.0.0/16"))
        other.children[0].startAction = .none
        pair.load()
        pair.moon.manager.load([other, .moonToSun], replacingAll: true, at: pair.now)
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(Set(pair.moon.dataplane.covers.keys) == ["sun/net", "mars/net"])
    }
}
