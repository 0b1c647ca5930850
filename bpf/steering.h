// What the steering program and the gateway share: roles, verdicts, map names and layouts. Both sides include this file.
#pragma once
#include <linux/types.h>

/// The program's name in the kernel; with the name of the socket map it tells that an attached program is ours.
#define SLUICE_PROGRAM "sluice_steering"
/// Its place among other XDP programs of an interface, where libxdp's dispatcher runs several: the lower, the earlier.
#define SLUICE_RUN_PRIORITY 20

/// What a link of a port is for; it may be both.
#define SLUICE_ROLE_LAN 1
#define SLUICE_ROLE_WAN 2

/// What the gateway tells a port's program before it is loaded, and the section where it lies.
#define SLUICE_CONSTANTS_SECTION ".rodata.port"
struct sluice_constants {
    __u16 udp_port; // of encapsulated ESP, host order
    __u16 unused;
};

/// Queues per port that may have a socket.
#define SLUICE_MAX_QUEUES 256
/// The gateway's own addresses, both families.
#define SLUICE_MAX_LOCAL 4096
/// Addresses and VLANs of one port.
#define SLUICE_MAX_LINKS 8192
/// Networks behind LAN ports, of each family.
#define SLUICE_MAX_INSIDE 16384
/// Rules of each family.
#define SLUICE_MAX_RULES 131072
/// Pairs of masks that the rules of a family may have.
#define SLUICE_MAX_TUPLES 32
/// Pairs of networks about which several policies decide by protocol and ports.
#define SLUICE_MAX_LISTS 16384
/// Policies that decide about one such pair.
#define SLUICE_MAX_ENTRIES 16

/// What was done with a packet, and the index of its counter.
enum sluice_verdict {
    // To the socket of the packet's receive queue.
    SLUICE_SOCKET_ESP,       // ESP for the gateway
    SLUICE_SOCKET_AH,        // AH for the gateway
    SLUICE_SOCKET_UDP_ESP,   // UDP-encapsulated ESP for the gateway (RFC 3948)
    SLUICE_SOCKET_PROTECTED, // from the LAN, and a rule wants it protected or discarded
    // Dropped.
    SLUICE_DROP_NO_SOCKET,     // one of the above, but the queue has no socket
    SLUICE_DROP_CLEAR_INBOUND, // in clear, and its way back is protected (RFC 4301 section 5.2)
    SLUICE_DROP_STRANGER,      // from the WAN, and a rule would protect it: not from our LAN
    SLUICE_DROP_CLOSED,        // the rules are not complete, and this packet may be one of those that are missing
    // To the host's own network stack.
    SLUICE_PASS_FOREIGN,           // for another station's MAC address, or of a VLAN that the port does not have
    SLUICE_PASS_NOT_IP,            // ARP, LLDP, two VLAN tags, ...
    SLUICE_PASS_GROUP,             // broadcast, multicast or IPv6 link-local destination
    SLUICE_PASS_LOCAL,             // for the gateway itself, and not for IPsec
    SLUICE_PASS_IKE,               // UDP 500, or UDP 4500 with the non-ESP marker (RFC 3948 section 2.2)
    SLUICE_PASS_KEEPALIVE,         // UDP 4500, a NAT keepalive or too short for an ESP header
    SLUICE_PASS_OUTER_FRAGMENT,    // a fragment of ESP, AH or UDP for the gateway: the host reassembles
    SLUICE_PASS_EXTENSION_HEADERS, // IPv6 extension headers that the walk doesn't take
    SLUICE_PASS_NOT_LOCAL,         // WAN only: for somebody else
    SLUICE_PASS_BYPASS,            // from the LAN, and a rule lets it pass
    SLUICE_PASS_INSIDE,            // from the LAN to a network behind a LAN port
    SLUICE_PASS_UNPROTECTED,       // from the LAN, and no rule is about it
    SLUICE_PASS_MALFORMED,         // headers cut short or contradicting themselves
    SLUICE_VERDICTS
};

/// One of the gateway's own addresses; an IPv4 address a.b.c.d is written ::ffff:a.b.c.d.
struct sluice_address {
    __u8 bytes[16];
};

/// A MAC address of the host on a port, and the VLAN that it is in; 0 without a tag. Its value is the roles.
struct sluice_link {
    __u8 mac[6];
    __u16 vlan;
};

/// A prefix in a trie: its length in bits, then the address in network order. Its value is the length again.
struct sluice_prefix4 {
    __u32 length;
    __u8 bytes[4];
};
struct sluice_prefix6 {
    __u32 length;
    __u8 bytes[16];
};

/// The masks of a tuple: what is left of a packet's addresses is looked up among the rules of this tuple.
struct sluice_tuple4 {
    __u32 used;
    __u32 source;      // network order
    __u32 destination; // network order
};
struct sluice_tuple6 {
    __u32 used;
    __u32 source[4];
    __u32 destination[4];
};

/// Which packets a rule is about: the tuple's number, and the addresses under its masks.
struct sluice_rule4 {
    __u32 tuple;
    __u32 source;
    __u32 destination;
};
struct sluice_rule6 {
    __u32 tuple;
    __u32 source[4];
    __u32 destination[4];
};

/// What becomes of a packet. The numbers are in the order in which policies that are equal otherwise decide.
enum sluice_action {
    SLUICE_ACTION_PROTECT = 0, // to the socket; the opposite direction has to come protected
    SLUICE_ACTION_DISCARD = 1, // to the socket, which drops and counts it
    SLUICE_ACTION_PASS = 2,    // to the host
    SLUICE_ACTION_NONE = 3,    // no rule: never in a map
};

/// What a rule says of its packets: `order` is the precedence, and in its lowest two bits the action. Of several rules the one
/// with the lowest order decides.
struct sluice_rule {
    __u64 order;             // of a list: the lowest of its entries
    __u32 list;              // not 0: protocol and ports decide as well, by the list of this number
    __u8 destination_length; // of the policy's destination, in bits
    __u8 unused[3];
};

/// One of the policies of a pair of networks, for some protocol or ports (RFC 4301 section 4.4.1.1). Masks are zero or all ones, so
/// that the program compares without a branch: the verifier walks every branch of every entry.
struct sluice_entry {
    __u64 order;
    __u16 source_first; // ports in host order; ICMP: type << 8 | code, Mobility Header: type << 8
    __u16 source_last;
    __u16 destination_first;
    __u16 destination_last;
    __u8 protocol;
    __u8 protocol_mask;      // zero: any protocol
    __u8 ports_mask;         // zero: any ports
    __u8 destination_length; // as in a rule
    __u32 unused;
};

/// The policies of a pair of networks whose rule has this list's number. The first entry that matches decides.
struct sluice_list {
    __u32 count;
    __u32 unused;
    struct sluice_entry entries[SLUICE_MAX_ENTRIES]; // by order
};

/// The state of all tables.
struct sluice_control {
    __u32 closed;  // not 0: the rules are not complete
    __u32 tuples4; // so many places of the tuples may be in use
    __u32 tuples6;
    __u32 lists;   // so many pairs have lists, for which protocol and ports matter
};
