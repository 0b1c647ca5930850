import TestSupport
import XDP

/// What crosses the boundary, and what does not.
extension SteeringCase {
    /// Source and destination both count.
    static let pairs: [SteeringCase] = [
        .init("a pair", .lan, Frames.ethernet(tcp4(to: "172.20.1.1", from: "192.168.20.9")), .socketProtected),
        .init("another source", .lan, Frames.ethernet(tcp4(to: "172.20.1.1", from: "192.168.21.9")), .passUnprotected),
        .init(
            "a pair to be discarded", .lan, Frames.ethernet(tcp4(to: "172.21.1.1", from: "192.168.20.9")),
            .socketProtected),
        .init(
            "a bypass within a pair", .lan, Frames.ethernet(tcp4(to: "172.20.7.1", from: "192.168.20.200")), .passBypass
        ),
        .init(
            "beside the bypass", .lan, Frames.ethernet(tcp4(to: "172.20.7.1", from: "192.168.20.100")), .socketProtected
        ),
        .init(
            "a bypass that comes too late", .lan, Frames.ethernet(tcp4(to: "172.20.8.1", from: "192.168.20.9")),
            .socketProtected),
        .init(
            "an IPv6 pair", .lan, Frames.ethernet(tcp6(to: "2001:db8:20::1", from: "2001:db8:10::1")), .socketProtected),
        .init(
            "another IPv6 source", .lan, Frames.ethernet(tcp6(to: "2001:db8:20::1", from: "2001:db8:11::1")),
            .passUnprotected),
        .init("from LAN to LAN", .lan, Frames.ethernet(tcp4(to: "10.50.1.1")), .passInside),
        .init(
            "from LAN to LAN, protected as narrowly", .lan, Frames.ethernet(tcp4(to: "192.168.7.9")), .socketProtected),
        .init("from LAN to LAN, nothing protects it", .lan, Frames.ethernet(tcp4(to: "192.168.40.9")), .passInside),
        .init("from LAN to LAN over IPv6", .lan, Frames.ethernet(tcp6(to: "2001:db8:2:50::1")), .passInside),
    ]

    /// The other side of the boundary (RFC 4301 section 5.2).
    static let inbound: [SteeringCase] = [
        .init(
            "a pair's way back in clear", .wan, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.20.1.1")),
            .dropClearInbound),
        .init(
            "its first fragment", .wan, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.20.1.1", fragment: 0x2000)),
            .dropClearInbound),
        .init(
            "its last fragment", .wan, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.20.1.1", fragment: 0x0010)),
            .dropClearInbound),
        .init(
            "its ESP for somebody behind us", .wan,
            Frames.ethernet(Frames.ipv4(to: "192.168.20.9", from: "172.20.1.1", protocol: 50, Frames.esp)),
            .dropClearInbound),
        .init(
            "a bypass' way back", .wan, Frames.ethernet(tcp4(to: "192.168.20.200", from: "172.20.7.1")), .passNotLocal),
        .init(
            "the way back of what is discarded", .wan, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.21.1.1")),
            .passNotLocal),
        .init(
            "from the remote network to an unprotected one", .wan,
            Frames.ethernet(tcp4(to: "192.168.21.9", from: "172.20.1.1")), .passNotLocal),
        .init("on a LAN port", .lan, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.20.1.1")), .passUnprotected),
        .init(
            "on a port that is both", both, Frames.ethernet(tcp4(to: "192.168.20.9", from: "172.20.1.1")),
            .dropClearInbound),
        .init(
            "a stranger's packet for the remote network", .wan,
            Frames.ethernet(tcp4(to: "172.20.1.1", from: "192.168.20.9")), .dropStranger),
        .init(
            "a stranger's packet that would be discarded", .wan,
            Frames.ethernet(tcp4(to: "172.21.1.1", from: "192.168.20.9")), .dropStranger),
        .init(
            "a pair's way back over IPv6", .wan, Frames.ethernet(tcp6(to: "2001:db8:10::1", from: "2001:db8:20::1")),
            .dropClearInbound),
        .init(
            "its fragment", .wan,
            Frames.ethernet(tcp6(to: "2001:db8:10::1", from: "2001:db8:20::1", [fragment(0x0100)])), .dropClearInbound),
        .init(
            "a stranger's packet over IPv6", .wan, Frames.ethernet(tcp6(to: "2001:db8:20::1", from: "2001:db8:10::1")),
            .dropStranger),
        // The host's own addresses 192.168.20.1 and 2001:db8:10::ffff lie in the pairs' sources.
        .init(
            "for us in clear", .wan, Frames.ethernet(tcp4(to: "192.168.20.1", from: "172.20.1.1")), .dropClearInbound),
        .init(
            "for us in clear, a later fragment", .wan,
            Frames.ethernet(tcp4(to: "192.168.20.1", from: "172.20.1.1", fragment: 0x0010)), .dropClearInbound),
        .init(
            "for us from somewhere else", .wan, Frames.ethernet(tcp4(to: "192.168.20.1", from: "172.22.1.1")),
            .passLocal),
        .init("for us on a LAN port", .lan, Frames.ethernet(tcp4(to: "192.168.20.1", from: "172.20.1.1")), .passLocal),
        .init(
            "for us in clear over IPv6", .wan, Frames.ethernet(tcp6(to: "2001:db8:10::ffff", from: "2001:db8:20::1")),
            .dropClearInbound),
        .init(
            "for us behind options over IPv6", .wan,
            Frames.ethernet(tcp6(to: "2001:db8:10::ffff", from: "2001:db8:20::1", [(60, Frames.options)])),
            .dropClearInbound),
        .init(
            "for us behind an unfinished routing header", .wan,
            Frames.ethernet(tcp6(to: "2001:db8:10::ffff", from: "2001:db8:20::1", [routing(left: 1)])),
            .dropClearInbound),
    ]

    /// What is taken in clear by one of the host's own addresses though everything else would have to come protected.
    static let exceptions: [SteeringCase] = [
        .init("ESP", .wan, Frames.ethernet(peer4(50, Frames.esp)), .socketESP),
        .init("AH", .wan, Frames.ethernet(peer4(51, Frames.authentication)), .socketAH),
        .init(
            "UDP-encapsulated ESP", .wan, Frames.ethernet(peer4(17, Frames.udp(to: 4500, Frames.esp))), .socketUDPESP),
        .init("IKE on port 500", .wan, Frames.ethernet(peer4(17, Frames.udp(to: 500, Frames.esp))), .passIKE),
        .init(
            "IKE on port 4500", .wan, Frames.ethernet(peer4(17, Frames.udp(to: 4500, [0, 0, 0, 0, 1, 2, 3, 4]))),
            .passIKE),
        .init("another datagram", .wan, Frames.ethernet(peer4(17, Frames.udp(to: 53, Frames.esp))), .dropClearInbound),
        .init(
            "first fragment of IKE", .wan,
            Frames.ethernet(peer4(17, fragment: 0x2000, Frames.udp(to: 500, Frames.esp))), .passOuterFragment),
        .init(
            "later fragment of a datagram", .wan, Frames.ethernet(peer4(17, fragment: 0x0010, Frames.esp)),
            .passOuterFragment),
        .init(
            "first fragment of another datagram", .wan,
            Frames.ethernet(peer4(17, fragment: 0x2000, Frames.udp(to: 53, Frames.esp))), .dropClearInbound),
        .init(
            "first fragment without ports", .wan, Frames.ethernet(peer4(17, fragment: 0x2000, [1, 2, 3, 4])),
            .dropClearInbound),
        .init(
            "first fragment of ESP", .wan, Frames.ethernet(peer4(50, fragment: 0x2000, Frames.esp)), .passOuterFragment),
        .init("echo request", .wan, Frames.ethernet(peer4(1, [8, 0, 0, 0, 0, 0, 0, 0])), .dropClearInbound),
        .init("ICMP error about our ESP", .wan, Frames.ethernet(peer4(1, icmpError(3, about: 50))), .passLocal),
        .init("ICMP error about our IKE", .wan, Frames.ethernet(peer4(1, icmpError(11, about: 17))), .passLocal),
        .init("ICMP error about TCP", .wan, Frames.ethernet(peer4(1, icmpError(3, about: 6))), .dropClearInbound),
        .init(
            "ICMP error about somebody else's ESP", .wan,
            Frames.ethernet(peer4(1, icmpError(3, about: 50, from: "192.168.20.2"))), .dropClearInbound),
        .init("redirect about our ESP", .wan, Frames.ethernet(peer4(1, icmpError(5, about: 50))), .dropClearInbound),
        .init(
            "ICMP error cut short", .wan, Frames.ethernet(peer4(1, Array(icmpError(3, about: 50).prefix(27)))),
            .dropClearInbound),
        .init("ESP over IPv6", .wan, Frames.ethernet(peer6(50, Frames.esp)), .socketESP),
        .init("IKE over IPv6", .wan, Frames.ethernet(peer6(17, Frames.udp(to: 500, Frames.esp))), .passIKE),
        .init(
            "neighbour solicitation", .wan,
            Frames.ethernet(peer6(58, hops: 255, [135, 0] + [UInt8](repeating: 0, count: 22))), .passLocal),
        .init(
            "neighbour solicitation from afar", .wan,
            Frames.ethernet(peer6(58, hops: 254, [135, 0] + [UInt8](repeating: 0, count: 22))), .dropClearInbound),
        .init(
            "echo request over IPv6", .wan, Frames.ethernet(peer6(58, hops: 255, [128, 0, 0, 0, 0, 0, 0, 0])),
            .dropClearInbound),
        .init("packet too big about our ESP", .wan, Frames.ethernet(peer6(58, icmpError6(2, about: 50))), .passLocal),
        .init("packet too big about TCP", .wan, Frames.ethernet(peer6(58, icmpError6(2, about: 6))), .dropClearInbound),
        .init(
            "first fragment of IKE over IPv6", .wan,
            Frames.ethernet(peer6(17, extensions: [fragment(0x0001)], Frames.udp(to: 500, Frames.esp))),
            .passOuterFragment),
        .init(
            "first fragment of another datagram over IPv6", .wan,
            Frames.ethernet(peer6(17, extensions: [fragment(0x0001)], Frames.udp(to: 53, Frames.esp))),
            .dropClearInbound),
        .init(
            "later fragment of TCP over IPv6", .wan,
            Frames.ethernet(peer6(6, extensions: [fragment(0x0100)], Frames.esp)), .dropClearInbound),
    ]

    private static func peer4(_ number: UInt8, fragment: UInt16 = 0, _ payload: [UInt8]) -> [UInt8] {
        Frames.ipv4(to: "192.168.20.1", from: "172.20.1.1", protocol: number, fragment: fragment, payload)
    }

    private static func peer6(
        _ number: UInt8, hops: UInt8 = 64, extensions: [(number: UInt8, bytes: [UInt8])] = [], _ payload: [UInt8]
    ) -> [UInt8] {
        var packet = Frames.ipv6(
            to: "2001:db8:10::ffff", from: "2001:db8:20::1", protocol: number, extensions: extensions, payload)
        packet[7] = hops
        return packet
    }

    /// An error about a packet that we sent from port 4500, if it has ports.
    private static func icmpError(_ type: UInt8, about number: UInt8, from source: String = "192.168.20.1") -> [UInt8] {
        [type, 4, 0, 0, 0, 0, 5, 0]
            + Frames.ipv4(to: "172.20.1.1", from: source, protocol: number, Frames.udp(to: 4500, []))
    }

    private static func icmpError6(_ type: UInt8, about number: UInt8) -> [UInt8] {
        [type, 0, 0, 0, 0, 0, 5, 0]
            + Frames.ipv6(
                to: "2001:db8:20::1", from: "2001:db8:10::ffff", protocol: number, Frames.udp(to: 4500, []))
    }

    /// Other stations and other VLANs.
    static let foreign: [SteeringCase] = [
        .init(
            "LAN packet for another MAC address", .lan,
            Frames.ethernet(tcp4(to: "10.2.3.4"), to: [2, 0, 0, 0, 0, 0x99]), .passForeign),
        .init("ESP for another MAC address", .wan, Frames.ethernet(esp4(), to: [2, 0, 0, 0, 0, 0x99]), .passForeign),
        .init(
            "LAN packet in a VLAN that the port does not have", .lan,
            Frames.ethernet(tcp4(to: "10.2.3.4"), tags: [0x8100], vlan: 99), .passForeign),
        .init(
            "LAN packet with a priority only", .lan, Frames.ethernet(tcp4(to: "10.2.3.4"), tags: [0x8100], vlan: 0),
            .socketProtected),
        .init(
            "LAN packet with a provider's priority only", .lan,
            Frames.ethernet(tcp4(to: "10.2.3.4"), tags: [0x88a8], vlan: 0), .socketProtected),
        .init(
            "a VLAN of its own MAC address", .lan,
            Frames.ethernet(tcp4(to: "10.2.3.4"), to: Frames.vlanUnicast, tags: [0x8100], vlan: 6), .socketProtected),
        .init(
            "that MAC address without the VLAN", .lan, Frames.ethernet(tcp4(to: "10.2.3.4"), to: Frames.vlanUnicast),
            .passForeign),
    ]
}
