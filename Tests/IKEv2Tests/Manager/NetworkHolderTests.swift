import Cryptography
import IPsec
import Packets
import Testing

@testable import IKEv2

/// Who has which networks of a connection.
@Suite struct NetworkHolderTests {
    private func sa(_ networks: [AddressRange], connection: String = "branches") -> ChildSA {
        let endpoint = Endpoint(ip("192.0.2.1"), port: 500)
        return ChildSA(
            id: 1, child: Child(name: "net", proposals: []), connectionName: connection, inboundSPI: 1, outboundSPI: 2,
            mode: .tunnel, transform: .aes128GCM16, extendedSequenceNumbers: false, keyExchange: nil,
            inboundKey: SecretBytes(copying: [1]), outboundKey: SecretBytes(copying: [2]),
            selectors: networks.map { TrafficSelector(source: .any($0.family), destination: $0) }, localSelectors: [],
            remoteSelectors: [], requestID: 1, path: Path(local: endpoint, remote: endpoint), isEncapsulated: false,
            establishedAt: 0, lifetime: .unlimited)
    }

    private func peer(_ number: Int) -> Identity { .domainName("peer-\(number).example.org") }

    @Test func overlapsAreFoundAndNothingElse() {
        var holders = NetworkHolders()
        holders.add(sa([prefix("10.1.0.0/16"), prefix("10.1.5.0/24")]), of: peer(1))
        holders.add(sa([prefix("10.3.0.0/16")]), of: peer(2))
        func holder(_ network: String, _ number: Int, connection: String = "branches") -> Identity? {
            holders.holder(of: [prefix(network)], connection: connection, besides: peer(number))
        }
        for network in ["10.1.0.0/16", "10.1.5.0/24", "10.1.5.1/32", "10.1.200.0/24", "10.0.0.0/15", "0.0.0.0/0"] {
            #expect(holder(network, 2) == peer(1), "\(network)")
        }
        for network in ["10.2.0.0/16", "10.0.0.0/16", "10.3.0.0/16", "10.3.255.255/32", "10.4.0.0/14"] {
            #expect(holder(network, 2) == nil, "\(network)")
        }
        #expect(holder("10.0.0.0/8", 1) == peer(2) && holder("10.0.0.0/15", 1) == nil)
        #expect(holder("10.1.0.0/16", 2, connection: "others") == nil)
        #expect(holders.holder(of: [.any(.ipv6)], connection: "branches", besides: peer(3)) == nil)
    }

    /// Against a list that is looked through.
    @Test(arguments: 0..<20) func asAListSays(seed: UInt64) {
        var state = seed &* 7 &+ 1
        func random(_ limit: UInt32) -> UInt32 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt32(truncatingIfNeeded: state >> 33) % limit
        }
        var holders = NetworkHolders()
        var list: [(range: AddressRange, peer: Int)] = []
        for _ in 0..<400 {
            if !list.isEmpty, random(3) == 0 {
                let gone = list.remove(at: Int(random(UInt32(list.count))))
                holders.remove(sa([gone.range]), of: peer(gone.peer))
            }
            let first = random(2000)
            let last = first + random(40)
            let number = Int(random(12))
            guard let range = AddressRange(first: IPAddress(ipv4: first), last: IPAddress(ipv4: last)) else { continue }
            let expected = list.contains { $0.peer != number && $0.range.overlaps(range) }
            let holder = holders.holder(of: [range], connection: "branches", besides: peer(number))
            #expect((holder != nil) == expected)
            if let holder { #expect(list.contains { peer($0.peer) == holder && $0.range.overlaps(range) }) }
            guard !expected else { continue }
            list.append((range, number))
            holders.add(sa([range]), of: peer(number))
        }
        for entry in list { holders.remove(sa([entry.range]), of: peer(entry.peer)) }
        #expect(holders.isEmpty)
    }
}
