import Packets
import Testing

@testable import Netlink

/// Requests, byte by byte.
@Suite struct EncodingTests {
    @Test func probe() throws {
        let key = Neighbour.Key(interfaceIndex: 3, address: try #require(IPAddress("10.0.0.9")))
        let expected = message(type: 28, flags: 0x405, sequence: 9) {  // REQUEST | ACK | CREATE
            [2, 0, 0, 0]; [3, 0, 0, 0]  // IPv4, interface 3
            [0, 0, 1, 0]  // NUD_NONE, NTF_USE
            [8, 0, 1, 0]; [10, 0, 0, 9]  // NDA_DST
        }
        #expect(Request.probe(key, sequence: 9).bytes == expected)
    }

    @Test func route() throws {
        let route = Route(
            destination: try #require(IPPrefix("10.2.0.0/16")), metric: 5, preferredSource: IPAddress("10.1.0.1"),
            mtu: 1400, hops: [.init(interfaceIndex: 3, gateway: IPAddress("10.1.0.2"))])
        let expected = message(type: 24, flags: 0x505, sequence: 1) {  // REQUEST | ACK | REPLACE | CREATE
            [2, 16, 0, 0]; [254, 173, 0, 1]; [0, 0, 0, 0]  // /16, main, our origin, universe, unicast
            [8, 0, 1, 0]; [10, 2, 0, 0]
            [8, 0, 15, 0]; [254, 0, 0, 0]
            [8, 0, 6, 0]; [5, 0, 0, 0]
            [8, 0, 7, 0]; [10, 1, 0, 1]
            [12, 0, 8, 0]; [8, 0, 2, 0]; [0x78, 5, 0, 0]
            [8, 0, 4, 0]; [3, 0, 0, 0]
            [8, 0, 5, 0]; [10, 1, 0, 2]
        }
        #expect(Request.replace(route, sequence: 1).bytes == expected)
    }

    @Test func everyRouteFormComesBackAsItWent() throws {
        let via6 = Route.Hop(interfaceIndex: 4, gateway: IPAddress("fe80::1"), weight: 256)
        let routes = [
            Route(destination: .all(.ipv6), hops: [.init(interfaceIndex: 3, gateway: IPAddress("fe80::2"))]),
            Route(destination: try #require(IPPrefix("10.0.0.0/8")), kind: .blackhole, scope: .universe),
            Route(
                destination: try #require(IPPrefix("10.0.0.0/8")), table: .init(rawValue: 1000),
                hops: [.init(interfaceIndex: 3, gateway: IPAddress("10.0.0.1"), weight: 3), via6]),
            Route(
                destination: try #require(IPPrefix("10.9.0.0/16")), scope: .link,
                hops: [.init(interfaceIndex: 3)]),
        ]
        for route in routes {
            #expect(decode(Request.replace(route, sequence: 0).bytes).map(\.message) == [.route(route, replaces: true)])
        }
    }

    @Test func routeWithoutGatewayHasLinkScope() throws {
        let route = Route(destination: try #require(IPPrefix("10.9.0.0/16")), hops: [.init(interfaceIndex: 3)])
        let bytes = Request.replace(route, sequence: 0).bytes
        #expect(bytes[22] == 253)
        #expect(Request.remove(route, sequence: 0).bytes[22] == 255)
    }

    @Test func configuration() {
        let expected = message(type: 16, flags: 5, sequence: 2) {
            [0, 0, 0, 0]; [6, 0, 0, 0]; [1, 0, 0, 0]; [1, 0, 0, 0]  // interface 6; IFF_UP, and nothing else, to be set
            [8, 0, 4, 0]; [0x78, 5, 0, 0]  // IFLA_MTU 1400
            [16, 0, 26, 0]; [12, 0, 10, 0]; [5, 0, 8, 0]; [1]; [0, 0, 0]  // AF_SPEC: INET6: ADDR_GEN_MODE none
        }
        let request = Request.configure(interface: 6, isUp: true, mtu: 1400, withoutLinkLocal: true, sequence: 2)
        #expect(request.bytes == expected)
    }

    @Test(arguments: zip(Request.Dump.allCases, [18, 22, 22, 30, 30, 26, 26] as [UInt8]))
    func dumps(table: Request.Dump, type: UInt8) {
        let bytes = Request.dump(table, sequence: 0x0102).bytes
        #expect(bytes[4] == type)
        #expect(bytes[6...9] == [1, 3, 2, 1])  // REQUEST | ROOT | MATCH; sequence
        #expect(Int(bytes[0]) == bytes.count)
    }
}
