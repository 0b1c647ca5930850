import CLibBPF

/// The verdict of the steering program on a packet; `bpf/steering.h` has the same list.
public enum SteeringVerdict: UInt32, Sendable, CaseIterable {
    /// ESP for the gateway, to the socket.
    case socketESP
    /// AH for the gateway, to the socket.
    case socketAH
    /// UDP-encapsulated ESP for the gateway (RFC 3948), to the socket.
    case socketUDPESP
    /// A packet from the LAN that a rule wants protected or discarded: to the socket.
    case socketProtected
    /// One of the above, but the queue has no socket: dropped.
    case dropNoSocket
    /// A packet in clear from the WAN, though its way back is protected (RFC 4301 section 5.2): dropped.
    case dropClearInbound
    /// A packet from the WAN that would be protected if it came from the LAN: dropped.
    case dropStranger
    /// The rules are not complete, and a missing one may be about this packet: dropped.
    case dropClosed
    /// For another station's MAC address, or of a VLAN that the port does not have: to the host, which drops it.
    case passForeign
    /// ARP, LLDP, two VLAN tags and the like, to the host.
    case passNotIP
    /// Broadcast, multicast or IPv6 link-local destination, to the host.
    case passGroup
    /// For the gateway itself and not for IPsec, to the host.
    case passLocal
    /// UDP 500, or UDP 4500 with the non-ESP marker (RFC 3948 section 2.2): IKE, to the host.
    case passIKE
    /// UDP 4500, a NAT keepalive or too short for an ESP header, to the host.
    case passKeepalive
    /// A fragment of ESP, AH or UDP for the gateway, to the host for reassembly.
    case passOuterFragment
    /// IPv6 extension headers beyond the walk, to the host.
    case passExtensionHeaders
    /// On a WAN port for somebody else, to the host.
    case passNotLocal
    /// A packet from the LAN that a rule lets pass, to the host.
    case passBypass
    /// A packet from the LAN to a network behind a LAN port, to the host.
    case passInside
    /// A packet from the LAN that no rule is about, to the host.
    case passUnprotected
    /// Headers cut short or contradicting themselves, to the host.
    case passMalformed

    /// A stable name for status and metrics.
    public var name: String {
        switch self {
        case .socketESP: "socket-esp"
        case .socketAH: "socket-ah"
        case .socketUDPESP: "socket-udp-esp"
        case .socketProtected: "socket-protected"
        case .dropNoSocket: "drop-no-socket"
        case .dropClearInbound: "drop-clear-inbound"
        case .dropStranger: "drop-stranger"
        case .dropClosed: "drop-closed"
        case .passForeign: "pass-foreign"
        case .passNotIP: "pass-not-ip"
        case .passGroup: "pass-group"
        case .passLocal: "pass-local"
        case .passIKE: "pass-ike"
        case .passKeepalive: "pass-keepalive"
        case .passOuterFragment: "pass-outer-fragment"
        case .passExtensionHeaders: "pass-extension-headers"
        case .passNotLocal: "pass-not-local"
        case .passBypass: "pass-bypass"
        case .passInside: "pass-inside"
        case .passUnprotected: "pass-unprotected"
        case .passMalformed: "pass-malformed"
        }
    }
}
