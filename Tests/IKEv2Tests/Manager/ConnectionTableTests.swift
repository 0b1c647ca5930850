import IPsec
import Packets
import Testing

@testable import IKEv2

@Suite struct ConnectionTableTests {
    private let path = Path(local: Endpoint(ip("192.0.2.2"), port: 500), remote: Endpoint(ip("192.0.2.1"), port: 500))

    private func table(_ remotes: [(name: String, remote: [AddressPattern])]) -> ConnectionTable {
        var table = ConnectionTable()
        table.set(
            remotes.map { item in
                var connection = Connection.sunToMoon
                connection.name = item.name
                connection.remoteAddresses = item.remote
                return connection
            })
        return table
    }

    @Test func theNarrowestAddressesComeFirst() {
        let table = table([
            ("any", []), ("net", [.range(prefix("192.0.2.0/24"))]), ("other", [.range(prefix("198.51.100.0/24"))]),
            ("host", [.range(AddressRange(ip("192.0.2.1")))]), ("wide", [.range(prefix("192.0.0.0/16"))]),
        ])
        let names = table.candidates(for: path, resolved: [:]).map(\.name)
        #expect(names == ["host", "net", "wide", "any"])
    }

    @Test func ourAddressHasToFitToo() {
        var table = table([("host", [.range(AddressRange(ip("192.0.2.1")))])])
        var elsewhere = table.all[0]
        elsewhere.localAddresses = [.range(AddressRange(ip("192.0.2.9")))]
        table.set([elsewhere])
        #expect(table.candidates(for: path, resolved: [:]).isEmpty)
    }

    @Test func aNameFitsWhereItIsResolvedAndLastWhereItIsUnknown() {
        let table = table([("any", []), ("name", [.name("moon.example.org")])])
        let known = table.candidates(for: path, resolved: ["moon.example.org": [ip("192.0.2.1")]])
        #expect(known.map(\.name) == ["name", "any"])
        #expect(table.candidates(for: path, resolved: [:]).map(\.name) == ["any", "name"])
    }

    @Test func loadingSaysWhatHasChanged() {
        let old = Connection.moonToSun
        #expect(ConnectionChange(from: old, to: old).extent == .none)
        var new = old
        new.children.append(.between("more", "10.1.0.0/16", "10.3.0.0/16"))
        new.children[0].time.rekey = 5
        let change = ConnectionChange(from: old, to: new)
        #expect(change.extent == .children)
        #expect(change.endedChildren == ["net"])
        #expect(change.newChildren.map(\.name) == ["net", "more"])
        new.dpdDelay = 3
        #expect(ConnectionChange(from: old, to: new).extent == .everything)
    }
}
