import Packets
import Testing

@testable import Netlink

/// Bytes as the kernel sends them, annotated. Netlink is in host order: these are little-endian machines' bytes.
@Suite struct DecodingTests {
    @Test func linkWithItsKindAndVLAN() throws {
        let message = message(type: 16, flags: 0, sequence: 7) {
            [0, 0, 1, 0]  // family unspecified, pad, ARPHRD_ETHER
            [5, 0, 0, 0]  // index 5
            [0x43, 0x10, 0x01, 0]  // IFF_UP | BROADCAST | RUNNING | MULTICAST | LOWER_UP
            [0, 0, 0, 0]  // change mask
            [10, 0, 3, 0]; Array("wan.7\0".utf8); [0, 0]  // IFLA_IFNAME, 2 bytes of padding
            [10, 0, 1, 0]; [2, 0, 0, 0, 0, 9]; [0, 0]  // IFLA_ADDRESS
            [8, 0, 4, 0]; [0xDC, 5, 0, 0]  // IFLA_MTU 1500
            [8, 0, 5, 0]; [3, 0, 0, 0]  // IFLA_LINK: on top of 3
            [8, 0, 10, 0]; [8, 0, 0, 0]  // IFLA_MASTER 8
            [5, 0, 16, 0]; [6]; [0, 0, 0]  // IFLA_OPERSTATE up
            [8, 0, 31, 0]; [2, 0, 0, 0]  // IFLA_NUM_TX_QUEUES
            [8, 0, 32, 0]; [4, 0, 0, 0]  // IFLA_NUM_RX_QUEUES
            [28, 0, 18, 0]  // IFLA_LINKINFO, 28 bytes
            [12, 0, 2, 0x80]; [6, 0, 1, 0]; [7, 0]; [0, 0]  // IFLA_INFO_DATA (nested flag): IFLA_VLAN_ID 7
            [9, 0, 1, 0]; Array("vlan\0".utf8); [0, 0, 0]  // IFLA_INFO_KIND, behind the data on purpose
        }
        let expected = Link(
            index: 5, name: "wan.7", macAddress: MACAddress("02:00:00:00:00:09"), mtu: 1500, isUp: true,
            hasCarrier: true, operationalState: .up, kind: "vlan", master: 8, lower: 3, vlanIdentifier: 7,
            receiveQueues: 4, transmitQueues: 2)
        #expect(decode(message) == [NetlinkReply(message: .link(expected), sequence: 7, isInterrupted: false)])
        #expect(expected.isUsable)
    }

    /// IFLA_VLAN_PROTOCOL in network order: only 802.1Q tags are what the gateway writes.
    @Test(arguments: [([0x81, 0x00] as [UInt8], 7 as UInt16?), ([0x88, 0xA8], nil)])
    func onlyOneKindOfTagIsAVLAN(tagType: [UInt8], identifier: UInt16?) throws {
        let message = message(type: 16, flags: 0, sequence: 0) {
            [0, 0, 1, 0]; [5, 0, 0, 0]; [0, 0, 0, 0]; [0, 0, 0, 0]
            [10, 0, 3, 0]; Array("wan.7\0".utf8); [0, 0]  // IFLA_IFNAME
            [36, 0, 18, 0]  // IFLA_LINKINFO
            [9, 0, 1, 0]; Array("vlan\0".utf8); [0, 0, 0]  // IFLA_INFO_KIND
            [20, 0, 2, 0]; [6, 0, 1, 0]; [7, 0]; [0, 0]  // IFLA_INFO_DATA: IFLA_VLAN_ID 7
            [6, 0, 5, 0]; tagType; [0, 0]  // IFLA_VLAN_PROTOCOL
        }
        guard case .link(let link)? = decode(message).first?.message else { throw CheckFailure(description: "no link") }
        #expect(link.kind == "vlan" && link.vlanIdentifier == identifier)
    }

    @Test func bridgePortReportIsNotALink() {
        let message = message(type: 17, flags: 0, sequence: 0) {
            [7, 0, 1, 0]; [5, 0, 0, 0]; [3, 0, 0, 0]; [0, 0, 0, 0]  // AF_BRIDGE
            [8, 0, 3, 0]; Array("lan\0".utf8)
        }
        #expect(decode(message).map(\.message) == [.ignored(type: 17)])
    }

    @Test func addressOfAPointToPointLink() {
        let message = message(type: 20, flags: 0, sequence: 0) {
            [2, 32, 0x80, 253]; [4, 0, 0, 0]  // IPv4 /32, permanent, scope link, interface 4
            [8, 0, 1, 0]; [10, 0, 0, 2]  // IFA_ADDRESS: the peer
            [8, 0, 2, 0]; [10, 0, 0, 1]  // IFA_LOCAL: ours
            [8, 0, 8, 0]; [0x81, 0, 0, 0]  // IFA_FLAGS permanent | secondary
        }
        let expected = InterfaceAddress(
            interfaceIndex: 4, address: IPAddress(ipv4: 0x0A00_0001), prefixLength: 32, scope: .link,
            isSecondary: true)
        #expect(decode(message).map(\.message) == [.address(expected)])
    }

    @Test(arguments: [(UInt8(0x40), true), (0x48, true), (0x08, true), (0x44, false), (0x80, false)])
    func ipv6AddressUnderDuplicateDetection(flags: UInt8, isTentative: Bool) {
        let message = message(type: 20, flags: 0, sequence: 0) {
            [10, 64, flags, 0]; [4, 0, 0, 0]
            [20, 0, 1, 0]; [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
            [8, 0, 8, 0]; [flags, 0, 0, 0]
        }
        let expected = InterfaceAddress(
            interfaceIndex: 4, address: IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: 1), prefixLength: 64,
            isTentative: isTentative)
        #expect(decode(message).map(\.message) == [.address(expected)])
    }

    @Test func neighbourStates() {
        func message(state: UInt8, flags: UInt8 = 0) -> [UInt8] {
            NetlinkTests.message(type: 28, flags: 0, sequence: 0) {
                [2, 0, 0, 0]; [3, 0, 0, 0]; [state, 0, flags, 1]  // IPv4, interface 3, state, flags, RTN_UNICAST
                [8, 0, 1, 0]; [10, 0, 0, 9]  // NDA_DST
                [10, 0, 2, 0]; [2, 0, 0, 0, 0, 7]; [0, 0]  // NDA_LLADDR
            }
        }
        let usable: [(UInt8, Bool)] = [
            (0x02, true), (0x04, true), (0x08, true), (0x10, true), (0x40, true), (0x80, true), (0x00, false),
            (0x01, false), (0x20, false),
        ]
        for (state, isUsable) in usable {
            guard case .neighbour(let neighbour)? = decode(message(state: state)).first?.message else {
                Issue.record("state \(state) not decoded")
                continue
            }
            #expect(neighbour.key == .init(interfaceIndex: 3, address: IPAddress(ipv4: 0x0A00_0009)))
            #expect((neighbour.usableMACAddress == MACAddress("02:00:00:00:00:07")) == isUsable)
        }
        // A proxy entry is no neighbour, and 3 is no state.
        #expect(decode(message(state: 2, flags: 8)).map(\.message) == [.ignored(type: 28)])
        #expect(decode(message(state: 3)).map(\.message) == [.ignored(type: 28)])
    }

    @Test func routeWithGatewayOfTheOtherFamily() throws {
        let message = message(type: 24, flags: 0x100, sequence: 0) {
            [2, 8, 0, 0]; [254, 4, 0, 1]; [0, 0, 0, 0]  // IPv4 /8, main, static, universe, unicast
            [8, 0, 15, 0]; [0x10, 0x27, 0, 0]  // RTA_TABLE 10000 overrides the byte
            [8, 0, 1, 0]; [10, 0, 0, 0]  // RTA_DST
            [8, 0, 6, 0]; [50, 0, 0, 0]  // RTA_PRIORITY
            [22, 0, 18, 0]; [10, 0]; [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; [0, 0]  // RTA_VIA fe80::1
            [8, 0, 4, 0]; [3, 0, 0, 0]  // RTA_OIF
            [12, 0, 8, 0]; [8, 0, 2, 0]; [0x78, 5, 0, 0]  // RTA_METRICS: mtu 1400
            [8, 0, 30, 0]; [9, 0, 0, 0]  // RTA_NH_ID
        }
        let expected = Route(
            destination: try #require(IPPrefix("10.0.0.0/8")), table: .init(rawValue: 10_000), metric: 50,
            origin: .static, mtu: 1400, hops: [.init(interfaceIndex: 3, gateway: IPAddress("fe80::1"))], nextHopID: 9)
        #expect(decode(message).map(\.message) == [.route(expected, replaces: true)])
    }

    @Test func multipathRoute() throws {
        let message = message(type: 24, flags: 0, sequence: 0) {
            [2, 0, 0, 0]; [254, 3, 0, 1]; [0, 0, 0, 0]  // default route: no RTA_DST
            [36, 0, 9, 0]  // RTA_MULTIPATH
            [16, 0, 0, 0]; [3, 0, 0, 0]; [8, 0, 5, 0]; [10, 0, 0, 1]  // weight 1, interface 3
            [16, 0, 0x10, 9]; [4, 0, 0, 0]; [8, 0, 5, 0]; [10, 0, 1, 1]  // link down, weight 10, interface 4
        }
        let expected = Route(
            destination: .all(.ipv4), origin: .boot,
            hops: [
                .init(interfaceIndex: 3, gateway: IPAddress("10.0.0.1")),
                .init(interfaceIndex: 4, gateway: IPAddress("10.0.1.1"), weight: 10, isDown: true),
            ])
        #expect(decode(message).map(\.message) == [.route(expected, replaces: false)])
    }

    @Test(arguments: [
        (UInt8(6), Route.Kind.blackhole), (7, .unreachable), (8, .prohibit), (9, .throw), (2, .local), (3, .broadcast),
    ])
    func routeKinds(raw: UInt8, kind: Route.Kind) throws {
        let message = message(type: 25, flags: 0, sequence: 0) {
            [10, 32, 0, 0]; [254, 4, 0, raw]; [0, 0, 0, 0]
            [20, 0, 1, 0]; [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        let expected = Route(destination: try #require(IPPrefix("2001:db8::/32")), kind: kind, origin: .static)
        #expect(decode(message).map(\.message) == [.routeRemoved(expected)])
    }

    @Test(arguments: [[UInt8](arrayLiteral: 2, 33, 0, 0), [2, 8, 8, 0], [28, 8, 0, 0]])
    func routesThatCannotBe(fixed: [UInt8]) {
        // A prefix longer than the address, a source-specific route, MPLS.
        let message = message(type: 24, flags: 0, sequence: 0) {
            fixed; [254, 4, 0, 1]; [0, 0, 0, 0]
            [8, 0, 1, 0]; [10, 0, 0, 0]
        }
        #expect(decode(message).map(\.message) == [.ignored(type: 24)])
    }

    @Test func refusalWithTheKernelsWords() {
        let message = message(type: 2, flags: 0x300, sequence: 3) {  // NLM_F_CAPPED | NLM_F_ACK_TLVS
            [0xEA, 0xFF, 0xFF, 0xFF]  // -EINVAL
            [99, 0, 0, 0]; [24, 0, 5, 0]; [3, 0, 0, 0]; [0, 0, 0, 0]  // the request's header alone
            [16, 0, 1, 0]; Array("Bad gateway\0".utf8)  // NLMSGERR_ATTR_MSG
        }
        #expect(
            decode(message)
                == [
                    NetlinkReply(
                        message: .refused(code: 22, reason: "Bad gateway"), sequence: 3, isInterrupted: false)
                ])
    }

    @Test func acknowledgementEndOfDumpAndOverrun() {
        let datagram =
            message(type: 2, flags: 0x100, sequence: 1) {
                [0, 0, 0, 0]; [UInt8](repeating: 0, count: 16)
            }
            + message(type: 3, flags: 0x12, sequence: 2) { [0, 0, 0, 0] }  // NLM_F_DUMP_INTR
            + message(type: 3, flags: 2, sequence: 3) { [0xF0, 0xFF, 0xFF, 0xFF] }  // -EBUSY
            + message(type: 4, flags: 0, sequence: 0) { [] }
        #expect(
            decode(datagram) == [
                NetlinkReply(message: .acknowledged, sequence: 1, isInterrupted: false),
                NetlinkReply(message: .dumpEnd(code: 0), sequence: 2, isInterrupted: true),
                NetlinkReply(message: .dumpEnd(code: 16), sequence: 3, isInterrupted: false),
                NetlinkReply(message: .overrun, sequence: 0, isInterrupted: false),
            ])
    }
}
