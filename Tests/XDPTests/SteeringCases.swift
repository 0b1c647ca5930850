import TestSupport
import XDP

/// One packet on one port, and what must become of it.
struct SteeringCase: CustomStringConvertible, Sendable {
    let description: String
    let roles: PortRoles
    let frame: [UInt8]
    let verdict: SteeringVerdict

    init(_ description: String, _ roles: PortRoles, _ frame: [UInt8], _ verdict: SteeringVerdict) {
        self.description = description
        self.roles = roles
        self.frame = frame
        self.verdict = verdict
    }

    static let gateway4 = "203.0.113.1"
    static let gateway6 = "2001:db8::1"
    static let both: PortRoles = [.lan, .wan]

    static func esp4(fragment: UInt16 = 0, options: [UInt8] = [], to address: String = gateway4) -> [UInt8] {
        Frames.ipv4(to: address, protocol: 50, fragment: fragment, options: options, Frames.esp)
    }

    static func esp6(_ extensions: [(number: UInt8, bytes: [UInt8])] = [], to address: String = gateway6)
        -> [UInt8]
    {
        Frames.ipv6(to: address, protocol: 50, extensions: extensions, Frames.esp)
    }

    static func udp4(_ payload: [UInt8], port: UInt16 = 4500, length: Int? = nil) -> [UInt8] {
        Frames.ipv4(to: gateway4, protocol: 17, Frames.udp(to: port, length: length, payload))
    }

    static func udp6(_ payload: [UInt8], port: UInt16 = 4500) -> [UInt8] {
        Frames.ipv6(to: gateway6, protocol: 17, Frames.udp(to: port, payload))
    }

    static func tcp4(to address: String, from source: String = "192.168.1.2", fragment: UInt16 = 0) -> [UInt8] {
        Frames.ipv4(to: address, from: source, protocol: 6, fragment: fragment, [UInt8](repeating: 0, count: 20))
    }

    static func tcp6(
        to address: String, from source: String = "2001:db8:ffff::7",
        _ extensions: [(number: UInt8, bytes: [UInt8])] = []
    ) -> [UInt8] {
        Frames.ipv6(to: address, from: source, protocol: 6, extensions: extensions, [UInt8](repeating: 0, count: 20))
    }

    /// A routing header with so many segments left, and a fragment header with this offset field.
    static func routing(left: UInt8) -> (number: UInt8, bytes: [UInt8]) { (43, [0, 0, 4, left, 0, 0, 0, 0]) }
    static func fragment(_ field: UInt16) -> (number: UInt8, bytes: [UInt8]) {
        (44, [0, 0] + Frames.big(field) + [0, 0, 0, 9])
    }

    static let ipsec: [SteeringCase] = [
        .init("ESP over IPv4", .wan, Frames.ethernet(esp4()), .socketESP),
        .init("ESP over IPv6", .wan, Frames.ethernet(esp6()), .socketESP),
        .init("ESP to another own address", .wan, Frames.ethernet(esp4(to: "10.1.0.1")), .socketESP),
        .init("ESP to our link-local address", .wan, Frames.ethernet(esp6(to: "fe80::1")), .socketESP),
        .init("ESP with IPv4 options", .wan, Frames.ethernet(esp4(options: [7, 4, 4, 0])), .socketESP),
        .init(
            "ESP with all 40 bytes of options", .wan, Frames.ethernet(esp4(options: [UInt8](repeating: 1, count: 40))),
            .socketESP),
        .init("ESP with don't-fragment", .wan, Frames.ethernet(esp4(fragment: 0x4000)), .socketESP),
        .init(
            "AH over IPv4", .wan, Frames.ethernet(Frames.ipv4(to: gateway4, protocol: 51, Frames.authentication)),
            .socketAH),
        .init(
            "AH over IPv6", .wan, Frames.ethernet(Frames.ipv6(to: gateway6, protocol: 51, Frames.authentication)),
            .socketAH),
        .init("UDP-encapsulated ESP over IPv4", .wan, Frames.ethernet(udp4(Frames.esp)), .socketUDPESP),
        .init("UDP-encapsulated ESP over IPv6", .wan, Frames.ethernet(udp6(Frames.esp)), .socketUDPESP),
        .init(
            "UDP-encapsulated ESP, an SPI that begins with 0xff", .wan,
            Frames.ethernet(udp4([0xff, 0, 0, 0, 0, 0, 0, 1])), .socketUDPESP),
        .init(
            "UDP-encapsulated ESP behind IPv4 options", .wan,
            Frames.ethernet(
                Frames.ipv4(to: gateway4, protocol: 17, options: [1, 1, 1, 1], Frames.udp(to: 4500, Frames.esp))),
            .socketUDPESP),
        .init("IKE on port 4500", .wan, Frames.ethernet(udp4([0, 0, 0, 0] + Frames.esp)), .passIKE),
        .init("IKE on port 4500 over IPv6", .wan, Frames.ethernet(udp6([0, 0, 0, 0] + Frames.esp)), .passIKE),
        .init("IKE on port 500", .wan, Frames.ethernet(udp4(Frames.esp, port: 500)), .passIKE),
        .init("NAT keepalive", .wan, Frames.ethernet(udp4([0xff])), .passKeepalive),
        .init(
            "NAT keepalive in a padded frame", .wan,
            Frames.ethernet(udp4([0xff]) + [UInt8](repeating: 0x5a, count: 17)), .passKeepalive),
        .init("NAT keepalive over IPv6", .wan, Frames.ethernet(udp6([0xff])), .passKeepalive),
        .init("empty datagram on port 4500", .wan, Frames.ethernet(udp4([])), .passKeepalive),
        .init("three bytes on port 4500", .wan, Frames.ethernet(udp4([1, 2, 3])), .passKeepalive),
        .init("UDP length below its header", .wan, Frames.ethernet(udp4(Frames.esp, length: 7)), .passMalformed),
        .init("UDP length beyond the frame", .wan, Frames.ethernet(udp4([1, 2], length: 100)), .passMalformed),
        .init("ESP for somebody else", .wan, Frames.ethernet(esp4(to: "203.0.113.2")), .passNotLocal),
        .init("ESP over IPv6 for somebody else", .wan, Frames.ethernet(esp6(to: "2001:db8::2")), .passNotLocal),
        .init("TCP for us", .wan, Frames.ethernet(tcp4(to: gateway4)), .passLocal),
        .init("ICMP for us", .wan, Frames.ethernet(Frames.ipv4(to: gateway4, protocol: 1, [8, 0, 0, 0])), .passLocal),
        .init(
            "ICMPv6 for us", .wan, Frames.ethernet(Frames.ipv6(to: gateway6, protocol: 58, [128, 0, 0, 0])), .passLocal),
        .init("ESP on a LAN port, where no ESP is expected", .lan, Frames.ethernet(esp4()), .passLocal),
        .init("ESP over IPv6 on a LAN port", .lan, Frames.ethernet(esp6()), .passLocal),
    ]

    static let fragments: [SteeringCase] = [
        .init("first outer fragment of ESP", .wan, Frames.ethernet(esp4(fragment: 0x2000)), .passOuterFragment),
        .init("later outer fragment of ESP", .wan, Frames.ethernet(esp4(fragment: 0x2010)), .passOuterFragment),
        .init("last outer fragment of ESP", .wan, Frames.ethernet(esp4(fragment: 0x0010)), .passOuterFragment),
        .init(
            "later fragment of UDP", .wan,
            Frames.ethernet(
                Frames.ipv4(to: gateway4, protocol: 17, fragment: 0x0010, Frames.udp(to: 4500, Frames.esp))),
            .passOuterFragment),
        .init("fragment of TCP for us", .wan, Frames.ethernet(tcp4(to: gateway4, fragment: 0x2000)), .passLocal),
        .init(
            "fragment of ESP for somebody else", .wan, Frames.ethernet(esp4(fragment: 0x2000, to: "203.0.113.2")),
            .passNotLocal),
        .init("IPv6 fragment of ESP", .wan, Frames.ethernet(esp6([fragment(0x0001)])), .passOuterFragment),
        .init("IPv6 later fragment of ESP", .wan, Frames.ethernet(esp6([fragment(0x0100)])), .passOuterFragment),
        .init("IPv6 atomic fragment (RFC 6946)", .wan, Frames.ethernet(esp6([fragment(0)])), .passOuterFragment),
        .init("LAN, first fragment", .lan, Frames.ethernet(tcp4(to: "10.2.3.4", fragment: 0x2000)), .socketProtected),
        .init("LAN, later fragment", .lan, Frames.ethernet(tcp4(to: "10.2.3.4", fragment: 0x0010)), .socketProtected),
        .init(
            "LAN, IPv6 fragment", .lan, Frames.ethernet(tcp6(to: "2001:db8:2::5", [fragment(0x0101)])), .socketProtected
        ),
    ]

    static let extensionHeaders: [SteeringCase] = [
        .init("hop-by-hop options, ESP", .wan, Frames.ethernet(esp6([(0, Frames.options)])), .socketESP),
        .init(
            "destination options of 16 bytes, ESP", .wan, Frames.ethernet(esp6([(60, Frames.longOptions)])), .socketESP),
        .init("routing header without segments left, ESP", .wan, Frames.ethernet(esp6([routing(left: 0)])), .socketESP),
        .init(
            "routing header with a segment left", .wan, Frames.ethernet(esp6([routing(left: 1)])), .passExtensionHeaders
        ),
        .init(
            "hop-by-hop, destination options, routing, UDP-encapsulated ESP", .wan,
            Frames.ethernet(
                Frames.ipv6(
                    to: gateway6, protocol: 17,
                    extensions: [(0, Frames.options), (60, Frames.longOptions), routing(left: 0)],
                    Frames.udp(to: 4500, Frames.esp))), .socketUDPESP),
        .init(
            "eight extension headers", .wan,
            Frames.ethernet(esp6(.init(repeating: (60, Frames.options), count: 8))), .socketESP),
        .init(
            "nine extension headers", .wan,
            Frames.ethernet(esp6(.init(repeating: (60, Frames.options), count: 9))), .passExtensionHeaders),
        .init("options, then TCP", .wan, Frames.ethernet(tcp6(to: gateway6, [(60, Frames.options)])), .passLocal),
        .init(
            "options that reach beyond the frame", .wan,
            Frames.ethernet(Array(esp6([(60, [0, 200] + Frames.options.dropFirst(2)), (60, Frames.options)]))),
            .passMalformed),
        .init(
            "LAN, hop-by-hop options", .lan, Frames.ethernet(tcp6(to: "2001:db8:2::5", [(0, Frames.options)])),
            .socketProtected),
        .init(
            "LAN, routing header with a segment left", .lan,
            Frames.ethernet(tcp6(to: "2001:db8:2::5", [routing(left: 1)])), .socketProtected),
    ]

    static let prefixes: [SteeringCase] = [
        .init("protected IPv4", .lan, Frames.ethernet(tcp4(to: "10.2.3.4")), .socketProtected),
        .init("first address of a prefix", .lan, Frames.ethernet(tcp4(to: "192.168.7.0")), .socketProtected),
        .init("last address of a prefix", .lan, Frames.ethernet(tcp4(to: "192.168.7.255")), .socketProtected),
        .init("one before a prefix", .lan, Frames.ethernet(tcp4(to: "192.168.6.255")), .passUnprotected),
        .init("one behind a prefix", .lan, Frames.ethernet(tcp4(to: "192.168.8.0")), .passUnprotected),
        .init("an exception within a prefix", .lan, Frames.ethernet(tcp4(to: "10.99.1.1")), .passBypass),
        .init("protected IPv6", .lan, Frames.ethernet(tcp6(to: "2001:db8:2::5")), .socketProtected),
        .init("unprotected IPv6", .lan, Frames.ethernet(tcp6(to: "2001:db8:3::5")), .passUnprotected),
        .init(
            "an exception within an IPv6 prefix", .lan, Frames.ethernet(tcp6(to: "2001:db8:2:99::1")), .passBypass),
        .init("ours within a protected prefix", .lan, Frames.ethernet(tcp4(to: "10.1.0.1")), .passLocal),
        .init(
            "ours within a protected prefix, on a port that is both", both, Frames.ethernet(tcp4(to: "10.1.0.1")),
            .passLocal),
        .init("protected prefix on a WAN port", .wan, Frames.ethernet(tcp4(to: "10.2.3.4")), .dropStranger),
        .init("both roles: protected", both, Frames.ethernet(tcp4(to: "10.2.3.4")), .socketProtected),
        .init("both roles: ESP for us", both, Frames.ethernet(esp4()), .socketESP),
        .init(
            "both roles: ESP for us within a protected prefix", both, Frames.ethernet(esp4(to: "10.1.0.1")), .socketESP),
        .init(
            "both roles: passing ESP into a protected prefix", both, Frames.ethernet(esp4(to: "10.2.3.4")),
            .socketProtected),
        .init("both roles: unprotected", both, Frames.ethernet(tcp4(to: "8.8.8.8")), .passUnprotected),
        .init(
            "IPv4-mapped IPv6 is not the IPv4 prefix", .lan, Frames.ethernet(tcp6(to: "::ffff:10.2.3.4")),
            .passUnprotected),
    ]

    static let links: [SteeringCase] = [
        .init("ESP in one 802.1Q tag", .wan, Frames.ethernet(esp4(), tags: [0x8100]), .socketESP),
        .init("ESP in one 802.1ad tag", .wan, Frames.ethernet(esp6(), tags: [0x88a8]), .passForeign),
        .init(
            "LAN packet in one 802.1Q tag", .lan, Frames.ethernet(tcp4(to: "10.2.3.4"), tags: [0x8100]),
            .socketProtected),
        .init("two tags", .wan, Frames.ethernet(esp4(), tags: [0x8100, 0x8100]), .passNotIP),
        .init(
            "two tags, the outer one of a provider", .wan, Frames.ethernet(esp4(), tags: [0x88a8, 0x8100]), .passForeign
        ),
        .init("ARP", .lan, Frames.ethernet([UInt8](repeating: 0, count: 28), type: 0x0806), .passNotIP),
        .init(
            "ARP, broadcast", .lan,
            Frames.ethernet([UInt8](repeating: 0, count: 28), to: .init(repeating: 0xff, count: 6), type: 0x0806),
            .passGroup),
        .init(
            "broadcast MAC, protected destination", .lan,
            Frames.ethernet(tcp4(to: "10.2.3.4"), to: .init(repeating: 0xff, count: 6)), .passGroup),
        .init("multicast MAC, ESP for us", .wan, Frames.ethernet(esp4(), to: [0x01, 0, 0x5e, 0, 0, 1]), .passGroup),
        .init("IPv4 multicast to a unicast MAC", both, Frames.ethernet(tcp4(to: "224.0.0.5")), .passGroup),
        .init(
            "IPv4 limited broadcast to a unicast MAC", both, Frames.ethernet(tcp4(to: "255.255.255.255")), .passGroup),
        .init("IPv4 link-local", both, Frames.ethernet(tcp4(to: "169.254.1.1")), .passUnprotected),
        .init("IPv4 class E", both, Frames.ethernet(tcp4(to: "240.0.0.1")), .passUnprotected),
        .init("IPv6 multicast to a unicast MAC", both, Frames.ethernet(tcp6(to: "ff02::1")), .passGroup),
        .init("IPv6 link-local of a neighbour", both, Frames.ethernet(tcp6(to: "fe80::2")), .passGroup),
        .init("last of the IPv6 link-local prefix", both, Frames.ethernet(tcp6(to: "febf:ffff::2")), .passGroup),
        .init("one behind it", both, Frames.ethernet(tcp6(to: "fec0::")), .passUnprotected),
        .init("IPv4 loopback", both, Frames.ethernet(tcp4(to: "127.0.0.1")), .passGroup),
        .init("IPv4, one before multicast", both, Frames.ethernet(tcp4(to: "223.255.255.255")), .passUnprotected),
        .init("LLDP", .wan, Frames.ethernet([UInt8](repeating: 0, count: 46), type: 0x88cc), .passNotIP),
        .init(
            "IEEE 802.3 length instead of a type", .wan, Frames.ethernet([UInt8](repeating: 0, count: 46), type: 46),
            .passNotIP),
    ]

    static let malformed: [SteeringCase] = [
        .init("nothing behind the Ethernet header", .wan, Frames.ethernet([], type: 0x0800), .passMalformed),
        .init("nothing behind the VLAN tag", .wan, Frames.ethernet([], tags: [0x8100], type: 0x86dd), .passMalformed),
        .init("half a VLAN tag", .wan, Array(Frames.ethernet([], tags: [0x8100]).prefix(16)), .passMalformed),
        .init("IPv4 type, version 6", .wan, Frames.ethernet(esp6(), type: 0x0800), .passMalformed),
        .init("IPv6 type, version 4", .wan, Frames.ethernet(esp4(), type: 0x86dd), .passMalformed),
        .init("IPv4 header length 16", .wan, Frames.ethernet([0x44] + esp4().dropFirst()), .passMalformed),
        .init("IPv4 header cut short", .wan, Frames.ethernet(Array(esp4().prefix(19))), .passMalformed),
        .init("IPv6 header cut short", .wan, Frames.ethernet(Array(esp6().prefix(39))), .passMalformed),
        .init("UDP header cut short", .wan, Frames.ethernet(Array(udp4(Frames.esp).prefix(27))), .passMalformed),
        .init("UDP payload cut short", .wan, Frames.ethernet(Array(udp4(Frames.esp).prefix(31))), .passMalformed),
        .init(
            "IPv4 options cut short before UDP", .wan,
            Frames.ethernet([0x4f] + udp4([]).dropFirst()), .passMalformed),
    ]

    static let all =
        ipsec + fragments + extensionHeaders + prefixes + links + malformed + pairs + inbound + exceptions + foreign
        + upper
        + upperFragments
}
