import IKEv2
import IPsec
import Packets
import Testing

/// Two gateways of one site: connections with equal selectors.
@Suite struct StandbyTests {
    private let packet = TrafficSelector(
        source: AddressRange(ip("10.1.0.5")), destination: AddressRange(ip("10.2.0.9")), protocol: 17,
        sourcePorts: 1000...1000, destinationPorts: 53...53)

    private func load(_ pair: MoonAndSun, _ names: [String]) -> LabHost {
        let standby = pair.lab.addHost("192.0.2.4")
        standby.manager.credentials.sharedKeys = [.lab]
        var answering = Connection.sunToMoon
        answering.localAddresses = [.range(AddressRange(standby.address))]
        standby.manager.load([answering], replacingAll: true, at: pair.now)
        pair.sun.manager.load([.sunToMoon], replacingAll: true, at: pair.now)
        let connections = names.map { name in
            var connection = Connection.moonToSun
            connection.name = name
            if name == "standby" { connection.remoteAddresses = [.range(AddressRange(standby.address))] }
            connection.children[0].startAction = .trap
            return connection
        }
        pair.moon.manager.load(connections, replacingAll: true, at: pair.now)
        return standby
    }

    /// The order of the configuration is the order of preference, also after it has changed.
    @Test func ranksFollowTheConfiguration() {
        let pair = MoonAndSun()
        _ = load(pair, ["active", "standby"])
        func ranks() -> [UInt64] {
            ["active/net", "standby/net"].compactMap { pair.moon.dataplane.covers[$0]?.rank }
        }
        #expect(ranks().count == 2 && ranks()[0] < ranks()[1])
        pair.moon.manager.load(pair.moon.manager.connections.reversed(), replacingAll: true, at: pair.now)
        #expect(ranks()[0] > ranks()[1])
        #expect(pair.moon.dataplane.uncovered == [:] && pair.moon.dataplane.violations == [])
    }

    /// The dataplane names the first one, and both come up: the first may be dead.
    @Test func aPacketCallsForBoth() throws {
        let pair = MoonAndSun()
        let standby = load(pair, ["active", "standby"])
        let id = try #require(pair.moon.dataplane.covers["active/net"]?.requestID)
        pair.moon.manager.handle(.acquire(requestID: id, packet: packet), at: pair.now)
        pair.lab.run(seconds: 5)
        #expect(standby.dataplane.outbound.count == 1 && pair.sun.dataplane.outbound.count == 1)
        let ids = pair.moon.dataplane.outbound.values.map(\.requestID)
        #expect(Set(ids) == Set(pair.moon.dataplane.covers.values.map(\.requestID)) && Set(ids).count == 2)
    }
}
