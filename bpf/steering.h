// What the steering program and the gateway share: roles, verdicts, map names and layouts. Both sides include this file.
#pragma once
#include <linux/types.h>

/// The program's name in the kernel; with the name of the socket map it tells that an attached program is ours.
#define SLUICE_PROGRAM "sluice_steering"

/// What a port is for; a port may be both.
#define SLUICE_ROLE_LAN 1
#define SLUICE_ROLE_WAN 2

/// What the gateway tells a port's program before it is loaded, and the section where it lies.
#define SLUICE_CONSTANTS_SECTION ".rodata.port"
struct sluice_constants {
    __u32 roles;
    __u16 udp_port; // of encapsulated ESP, host order
    __u16 unused;
};

/// Queues per port that may have a socket.
#define SLUICE_MAX_QUEUES 256
/// The gateway's own addresses, both families.
#define SLUICE_MAX_LOCAL 4096
/// Prefixes in either trie.
#define SLUICE_MAX_PREFIXES 131072

/// What was done with a packet, and the index of its counter.
enum sluice_verdict {
    // To the socket of the packet's receive queue.
    SLUICE_SOCKET_ESP,       // ESP for the gateway
    SLUICE_SOCKET_AH,        // AH for the gateway
    SLUICE_SOCKET_UDP_ESP,   // UDP-encapsulated ESP for the gateway (RFC 3948)
    SLUICE_SOCKET_PROTECTED, // from the LAN, towards a protected prefix
    // To the host's own network stack.
    SLUICE_PASS_NO_SOCKET,         // one of the above, but the queue has no socket
    SLUICE_PASS_NOT_IP,            // ARP, LLDP, two VLAN tags, ...
    SLUICE_PASS_GROUP,             // broadcast, multicast or link-local destination
    SLUICE_PASS_LOCAL,             // for the gateway itself, and not for IPsec
    SLUICE_PASS_IKE,               // UDP 4500 with the non-ESP marker (RFC 3948 section 2.2)
    SLUICE_PASS_KEEPALIVE,         // UDP 4500, a NAT keepalive or too short for an ESP header
    SLUICE_PASS_OUTER_FRAGMENT,    // a fragment of ESP, AH or UDP for the gateway: the host reassembles
    SLUICE_PASS_EXTENSION_HEADERS, // IPv6 extension headers that the walk doesn't take
    SLUICE_PASS_NOT_LOCAL,         // WAN only: for somebody else
    SLUICE_PASS_UNPROTECTED,       // from the LAN, towards no protected prefix
    SLUICE_PASS_MALFORMED,         // headers cut short or contradicting themselves
    SLUICE_VERDICTS
};

/// One of the gateway's own addresses; an IPv4 address a.b.c.d is written ::ffff:a.b.c.d.
struct sluice_address {
    __u8 bytes[16];
};

/// A prefix in the IPv4 trie: its length in bits, then the address in network order.
struct sluice_prefix4 {
    __u32 length;
    __u8 bytes[4];
};

/// A prefix in the IPv6 trie.
struct sluice_prefix6 {
    __u32 length;
    __u8 bytes[16];
};

/// What a trie says of a prefix; the longest match decides.
enum sluice_prefix_action {
    SLUICE_PREFIX_PASS = 0,    // an exception within a protected prefix
    SLUICE_PREFIX_PROTECT = 1, // to the socket
};
