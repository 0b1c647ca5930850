import CLibBPF

/// What the steering program did with a packet; `bpf/steering.h` has the same list.
public enum SteeringVerdict: UInt32, Sendable, CaseIterable {
    /// ESP for the gateway, to the socket.
    case socketESP
    /// AH for the gateway, to the socket.
    case socketAH
    /// UDP-encapsulated ESP for the gateway (RFC 3948), to the socket.
    case socketUDPESP
    /// From the LAN towards a protected prefix, to the socket.
    case socketProtected
    /// One of the above, but the queue has no socket: to the host.
    case passNoSocket
    /// ARP, LLDP, two VLAN tags and the like, to the host.
    case passNotIP
    /// Broadcast, multicast or link-local destination, to the host.
    case passGroup
    /// For the gateway itself and not for IPsec, to the host.
    case passLocal
    /// UDP 4500 with the non-ESP marker (RFC 3948 section 2.2): IKE, to the host.
    case passIKE
    /// UDP 4500, a NAT keepalive or too short for an ESP header, to the host.
    case passKeepalive
    /// A fragment of ESP, AH or UDP for the gateway, to the host for reassembly.
    case passOuterFragment
    /// IPv6 extension headers beyond the walk, to the host.
    case passExtensionHeaders
    /// On a WAN port for somebody else, to the host.
    case passNotLocal
    /// From the LAN towards no protected prefix, to the host.
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
        case .passNoSocket: "pass-no-socket"
        case .passNotIP: "pass-not-ip"
        case .passGroup: "pass-group"
        case .passLocal: "pass-local"
        case .passIKE: "pass-ike"
        case .passKeepalive: "pass-keepalive"
        case .passOuterFragment: "pass-outer-fragment"
        case .passExtensionHeaders: "pass-extension-headers"
        case .passNotLocal: "pass-not-local"
        case .passUnprotected: "pass-unprotected"
        case .passMalformed: "pass-malformed"
        }
    }
}
