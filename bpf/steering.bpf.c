// The steering program: decides per packet between the gateway's socket, the host's network stack, and nothing at all.
//
//   1. Ethernet, at most one VLAN tag     broadcast and multicast MAC, everything but IP           → host
//                                         a MAC address or VLAN that is not ours                   → host, which drops it
//   2. destination is one of our addresses
//        WAN: ESP, AH, UDP-encapsulated ESP                                                        → socket
//        WAN: IKE, neighbour discovery, ICMP errors about our ESP and IKE                          → host
//        WAN: all else, when the way back is protected                                             → dropped
//        all else (also on a LAN port and within a protected network)                              → host
//   3. LAN: addresses, protocol and ports are those of a rule                     → socket, or host for a bypass
//   4. WAN: the way back is protected, or the packet would be if it came from the LAN              → dropped
//   5. all else                                                                                    → host
//
// Nothing that belongs to a socket ever goes to the host instead: without a socket it is dropped. The program stays on its
// interface when the gateway ends, however it ends, and drops then what the gateway would have protected.
//
// Decided on purpose:
// - Outer fragments (WAN, for us) go to the host, as only all of them together make a packet. The host reassembles them. An
//   IPv6 fragment header counts as a fragment even when it is the only one (RFC 6946). Later fragments of UDP pass where
//   the first one would have to be IKE: without a first one they come to nothing.
// - Where a packet does not show its protocol or its ports (later fragments, of IPv6 even without their protocol; headers cut
//   short; more extension headers than are walked) a policy that protects or discards holds for it whatever protocol and ports it is
//   for, and one that lets pass only if it is for all. So it passes only if it would whatever is in it.
// - ICMP errors from the LAN quote packets, which may have come protected: a policy that protects or discards something between
//   the two addresses holds for them too (RFC 4301 section 6).
// - IPv6 extension headers: hop-by-hop, destination options and routing headers are walked, eight at most. For us, a routing
//   header with segments left, or a ninth header, is not taken for IPsec.
// - From LAN to LAN is no way across the IPsec boundary (RFC 4301 section 4.4.1): a network behind a LAN port is protected
//   only by a rule whose destination is as narrow.
// - A port that is both LAN and WAN cannot tell who sends: what a rule protects is taken for the LAN's.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steering.h"

#define IPV4_FRAGMENT 0x3fff // more-fragments bit and offset
#define IPV4_OFFSET 0x1fff
#define IPV6_OFFSET 0xfff8
#define IPV6_MAX_EXTENSIONS 8
#define LONGEST_LINK_HEADER 18 // with one VLAN tag
#define MARKER_LENGTH 4 // the SPI's place, RFC 3948 section 2
#define IKE_PORT 500
#define VLAN_IDENTIFIER 0x0fff
// ICMP errors (RFC 792; RFC 4443 section 2.1), and what neighbour discovery sends (RFC 4861 section 4).
#define ICMP_UNREACHABLE 3
#define ICMP_REDIRECT 5
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER_PROBLEM 4
#define ICMP6_FIRST_REQUEST 128
#define ICMP6_ROUTER_SOLICITATION 133
#define ICMP6_REDIRECT 137

// What the next layer of a packet shows, in one word, as selectors want it (RFC 4301 section 4.4.1.1): the destination port in the
// lowest 16 bits, the source port (of ICMP: type and code; of a Mobility Header: its type) in the next, the protocol in the next 8;
// then these. In the highest 8 bits the functions below are asked only for rules whose destination is as narrow.
#define UPPER_PROTOCOL_KNOWN_BIT 40
#define UPPER_PORTS_KNOWN_BIT 41
#define UPPER_ICMP_ERROR_BIT 42
#define UPPER_INSIDE_SHIFT 56
#define UPPER_PROTOCOL_KNOWN (1ULL << UPPER_PROTOCOL_KNOWN_BIT)
#define UPPER_PORTS_KNOWN (1ULL << UPPER_PORTS_KNOWN_BIT)
#define UPPER_ICMP_ERROR (1ULL << UPPER_ICMP_ERROR_BIT)
// Of the numbers of the actions, only that of SLUICE_ACTION_PASS has this bit.
#define SLUICE_ORDER_PASS_BIT 1

/// This port's constants, alone in their section: set before loading, known to the verifier.
volatile const struct sluice_constants sluice_constants SEC(SLUICE_CONSTANTS_SECTION) = {
    .udp_port = 4500,
};

#define SLUICE_MAP(kind, entries, map_key, map_value, flags)                                                                   \
    struct {                                                                                                                   \
        __uint(type, kind);                                                                                                    \
        __uint(max_entries, entries);                                                                                          \
        __uint(map_flags, flags);                                                                                              \
        __type(key, map_key);                                                                                                  \
        __type(value, map_value);                                                                                              \
    }

// Of this port.
SLUICE_MAP(BPF_MAP_TYPE_XSKMAP, SLUICE_MAX_QUEUES, __u32, __u32, 0) sluice_sockets SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_PERCPU_ARRAY, SLUICE_VERDICTS, __u32, __u64, 0) sluice_counters SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_HASH, SLUICE_MAX_LINKS, struct sluice_link, __u32, BPF_F_NO_PREALLOC) sluice_links SEC(".maps");

// Of all ports.
SLUICE_MAP(BPF_MAP_TYPE_ARRAY, 1, __u32, struct sluice_control, 0) sluice_control SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_HASH, SLUICE_MAX_LOCAL, struct sluice_address, __u8, BPF_F_NO_PREALLOC) sluice_local SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_LPM_TRIE, SLUICE_MAX_INSIDE, struct sluice_prefix4, __u8, BPF_F_NO_PREALLOC)
sluice_inside4 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_LPM_TRIE, SLUICE_MAX_INSIDE, struct sluice_prefix6, __u8, BPF_F_NO_PREALLOC)
sluice_inside6 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_ARRAY, SLUICE_MAX_TUPLES, __u32, struct sluice_tuple4, 0) sluice_tuples4 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_ARRAY, SLUICE_MAX_TUPLES, __u32, struct sluice_tuple6, 0) sluice_tuples6 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_HASH, SLUICE_MAX_RULES, struct sluice_rule4, struct sluice_rule, BPF_F_NO_PREALLOC)
sluice_rules4 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_HASH, SLUICE_MAX_RULES, struct sluice_rule6, struct sluice_rule, BPF_F_NO_PREALLOC)
sluice_rules6 SEC(".maps");
SLUICE_MAP(BPF_MAP_TYPE_HASH, SLUICE_MAX_LISTS, __u32, struct sluice_list, BPF_F_NO_PREALLOC) sluice_lists SEC(".maps");

struct vlan_tag {
    __be16 control;
    __be16 protocol;
};

struct extension_header {
    __u8 next;
    __u8 length;       // in 8 bytes, without the first 8
    __u8 routing_type; // of a routing header
    __u8 segments_left;
    __u8 rest[4];
};

/// The linux headers of ICMP bring the C library's along, which is not there for BPF.
struct icmp_header {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be32 rest;
};

struct fragment_header {
    __u8 next;
    __u8 reserved;
    __be16 offset;
    __be32 identification;
};

/// A packet behind its link layer. Which of the two headers is there the function's name tells.
struct packet {
    struct xdp_md *ctx;
    void *end;
    __u32 roles;       // of the link that it came by
    __u32 link_length; // of the headers in front
    union {
        struct iphdr *ip4;
        struct ipv6hdr *ip6;
    };
};

static __always_inline void count(__u32 verdict)
{
    __u64 *counter = bpf_map_lookup_elem(&sluice_counters, &verdict);

    if (counter)
        *counter += 1;
}

static __always_inline int pass(__u32 verdict)
{
    count(verdict);
    return XDP_PASS;
}

static __always_inline int drop(__u32 verdict)
{
    count(verdict);
    return XDP_DROP;
}

/// Never to the host: the lower bits of the flags are what is returned when the queue has no socket.
static __always_inline int to_socket(struct xdp_md *ctx, __u32 verdict)
{
    int action = bpf_redirect_map(&sluice_sockets, ctx->rx_queue_index, XDP_DROP);

    count(action == XDP_REDIRECT ? verdict : SLUICE_DROP_NO_SOCKET);
    return action;
}

// MARK: The tables

static __always_inline const struct sluice_control *control(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&sluice_control, &zero);
}

/// Whether the rules are not complete. What no rule protects is not to be trusted then.
static __always_inline int is_closed(void)
{
    const struct sluice_control *state = control();

    return !state || state->closed;
}

/// All ones when the bit is not set.
static __always_inline __u64 mask_without(__u64 word, __u32 bit)
{
    return (word >> bit & 1) - 1;
}

/// Not zero when an entry is not about a packet that shows this of itself. What is not known speaks for what is not to pass.
static __always_inline __u64 misses(const struct sluice_entry *entry, __u64 upper)
{
    __u64 source = upper >> 16 & 0xffff;
    __u64 destination = upper & 0xffff;
    __u64 is_taken = mask_without(entry->order, SLUICE_ORDER_PASS_BIT);
    __u64 is_error = ~mask_without(upper, UPPER_ICMP_ERROR_BIT);
    __u64 no_protocol = mask_without(upper, UPPER_PROTOCOL_KNOWN_BIT);
    __u64 no_ports = mask_without(upper, UPPER_PORTS_KNOWN_BIT);
    // Below the range or above it the difference is negative.
    __u64 outside = ((source - entry->source_first) | (entry->source_last - source) | (destination - entry->destination_first) |
                     (entry->destination_last - destination)) >> 63;
    __u64 other_protocol = (entry->protocol ^ (upper >> 32)) & entry->protocol_mask;
    __u64 too_wide = (entry->destination_length - (upper >> UPPER_INSIDE_SHIFT)) >> 63;

    other_protocol = (other_protocol & ~no_protocol) | (entry->protocol_mask & no_protocol);
    outside = (outside & ~no_ports) | (entry->ports_mask & no_ports);
    return too_wide | (other_protocol & ~(is_taken & (no_protocol | is_error))) | (outside & ~(is_taken & (no_ports | is_error)));
}

/// The order of a list's first entry that matches; ~0: none does. A list that was exchanged in this moment takes everything.
///
/// Global, so that the verifier looks at it once and not for every rule: its arguments are numbers for that.
__noinline __u64 search(__u32 number, __u64 upper)
{
    const struct sluice_list *list = bpf_map_lookup_elem(&sluice_lists, &number);

    if (!list)
        return SLUICE_ACTION_PROTECT;
    for (__u32 index = 0; index < SLUICE_MAX_ENTRIES && index < list->count; index++) {
        if (!misses(&list->entries[index], upper))
            return list->entries[index].order;
    }
    return ~0ULL;
}

/// The order of the rule, or of the entry of its list, that is about the packet; all ones: none is.
static __always_inline __u64 order_of(const struct sluice_rule *rule, __u64 upper)
{
    if (rule->list)
        return search(rule->list, upper);
    return rule->destination_length >= upper >> UPPER_INSIDE_SHIFT ? rule->order : ~0ULL;
}

/// What the rules say of a packet from `source` to `destination`. Global, as `search` is.
__noinline __u32 decide4(__u32 source, __u32 destination, __u64 upper)
{
    const struct sluice_control *state = control();
    __u64 best = ~0ULL;

    for (__u32 index = 0; state && index < SLUICE_MAX_TUPLES && index < state->tuples4; index++) {
        __u32 number = index;
        const struct sluice_tuple4 *tuple = bpf_map_lookup_elem(&sluice_tuples4, &number);
        struct sluice_rule4 key = {.tuple = index};
        const struct sluice_rule *rule;
        __u64 order;

        if (!tuple || !tuple->used)
            continue;
        key.source = source & tuple->source;
        key.destination = destination & tuple->destination;
        rule = bpf_map_lookup_elem(&sluice_rules4, &key);
        if (!rule || rule->order >= best)
            continue;
        order = order_of(rule, upper);
        if (order < best)
            best = order;
    }
    return best & 3; // all ones: SLUICE_ACTION_NONE
}

/// An IPv6 address as numbers, in network order.
struct words6 {
    __u64 high, low;
};

__noinline __u32 decide_words6(__u64 source_high, __u64 source_low, __u64 destination_high, __u64 destination_low, __u64 upper)
{
    const struct sluice_control *state = control();
    __u64 best = ~0ULL;

    for (__u32 index = 0; state && index < SLUICE_MAX_TUPLES && index < state->tuples6; index++) {
        __u32 number = index;
        const struct sluice_tuple6 *tuple = bpf_map_lookup_elem(&sluice_tuples6, &number);
        struct sluice_rule6 key = {.tuple = index};
        const struct sluice_rule *rule;
        __u64 order;

        if (!tuple || !tuple->used)
            continue;
        key.source[0] = source_high & tuple->source[0];
        key.source[1] = source_high >> 32 & tuple->source[1];
        key.source[2] = source_low & tuple->source[2];
        key.source[3] = source_low >> 32 & tuple->source[3];
        key.destination[0] = destination_high & tuple->destination[0];
        key.destination[1] = destination_high >> 32 & tuple->destination[1];
        key.destination[2] = destination_low & tuple->destination[2];
        key.destination[3] = destination_low >> 32 & tuple->destination[3];
        rule = bpf_map_lookup_elem(&sluice_rules6, &key);
        if (!rule || rule->order >= best)
            continue;
        order = order_of(rule, upper);
        if (order < best)
            best = order;
    }
    return best & 3; // all ones: SLUICE_ACTION_NONE
}

static __always_inline __u32 decide6(const struct in6_addr *source, const struct in6_addr *destination, __u64 upper)
{
    struct words6 from, to;

    __builtin_memcpy(&from, source, sizeof(from));
    __builtin_memcpy(&to, destination, sizeof(to));
    return decide_words6(from.high, from.low, to.high, to.low, upper);
}

/// Asks only for rules whose destination is at least so narrow, in bits.
static __always_inline __u64 as_narrow_as(__u64 upper, __u32 length)
{
    return upper | (__u64)length << UPPER_INSIDE_SHIFT;
}

/// How narrow the narrowest network behind a LAN port is that holds the address, in bits; 0: it is not inside.
static __always_inline __u32 inside4(__be32 address)
{
    struct sluice_prefix4 key = {.length = 32};
    const __u8 *length;

    __builtin_memcpy(key.bytes, &address, 4);
    length = bpf_map_lookup_elem(&sluice_inside4, &key);
    return length ? *length : 0;
}

static __always_inline __u32 inside6(const struct in6_addr *address)
{
    struct sluice_prefix6 key = {.length = 128};
    const __u8 *length;

    __builtin_memcpy(key.bytes, address, 16);
    length = bpf_map_lookup_elem(&sluice_inside6, &key);
    return length ? *length : 0;
}

static __always_inline int is_local(const struct sluice_address *address)
{
    return bpf_map_lookup_elem(&sluice_local, address) != 0;
}

// MARK: The next layer

/// Protocol, and ports or what counts as such, of a packet whose next layer begins here; `length` bytes of it are the packet's own.
static __always_inline __u64 read_upper(__u8 protocol, const __u8 *start, const void *end, __u32 length)
{
    __u64 upper = UPPER_PROTOCOL_KNOWN | (__u64)protocol << 32;
    __u64 first;

    switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
    case IPPROTO_MH:
        break;
    default:
        // Without ports they are all zero.
        return upper | UPPER_PORTS_KNOWN;
    }
    if (length < 4 || start + 4 > (const __u8 *)end)
        return upper;
    upper |= UPPER_PORTS_KNOWN;
    first = (__u64)start[0] << 8 | start[1];
    switch (protocol) {
    case IPPROTO_ICMP:
        if ((start[0] >= ICMP_UNREACHABLE && start[0] <= ICMP_REDIRECT) || start[0] == ICMP_TIME_EXCEEDED ||
            start[0] == ICMP_PARAMETER_PROBLEM)
            upper |= UPPER_ICMP_ERROR;
        return upper | first << 16;
    case IPPROTO_ICMPV6:
        if (start[0] < ICMP6_FIRST_REQUEST)
            upper |= UPPER_ICMP_ERROR;
        return upper | first << 16;
    case IPPROTO_MH:
        return upper | (__u64)start[2] << 24;
    }
    return upper | first << 16 | (__u64)start[2] << 8 | start[3];
}

/// What the next layer of an IPv4 packet shows whose header is `offset` bytes behind the frame's beginning. Global, as
/// `decide4` is.
__noinline __u64 upper4(struct xdp_md *ctx, __u32 offset)
{
    void *end = (void *)(long)ctx->data_end;
    struct iphdr *ip;
    __u32 header, total;

    if (offset > LONGEST_LINK_HEADER)
        return 0;
    ip = (void *)(long)ctx->data + offset;
    if ((void *)(ip + 1) > end)
        return 0;
    header = ip->ihl * 4;
    total = bpf_ntohs(ip->tot_len);
    if (ip->frag_off & bpf_htons(IPV4_OFFSET))
        return UPPER_PROTOCOL_KNOWN | (__u64)ip->protocol << 32;
    return read_upper(ip->protocol, (void *)ip + header, end, total < header ? 0 : total - header);
}

/// The same of an IPv6 packet. Nothing is known behind headers in an order that no sender may choose.
__noinline __u64 upper6(struct xdp_md *ctx, __u32 offset)
{
    void *end = (void *)(long)ctx->data_end;
    struct ipv6hdr *ip;
    struct extension_header *header;
    __u32 left, had_fragment = 0;
    __u8 next;

    if (offset > LONGEST_LINK_HEADER)
        return 0;
    ip = (void *)(long)ctx->data + offset;
    if ((void *)(ip + 1) > end)
        return 0;
    left = bpf_ntohs(ip->payload_len);
    next = ip->nexthdr;
    header = (void *)(ip + 1);
    for (int count = 0; count <= IPV6_MAX_EXTENSIONS; count++) {
        __u32 length;

        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT)
            return read_upper(next, (void *)header, end, left);
        if ((void *)(header + 1) > end || left < sizeof(*header) || (next == IPPROTO_HOPOPTS && count))
            return 0;
        length = 8 + header->length * 8;
        if (next == IPPROTO_FRAGMENT) {
            if (had_fragment || (((struct fragment_header *)header)->offset & bpf_htons(IPV6_OFFSET)))
                return 0;
            had_fragment = 1;
            length = 8;
        }
        if (left < length)
            return 0;
        left -= length;
        next = header->next;
        header = (void *)header + length;
    }
    return 0;
}

/// What the rules need to know of the next layer; nothing when none asks.
static __always_inline __u64 upper_of4(const struct packet *packet)
{
    const struct sluice_control *state = control();

    return state && state->lists ? upper4(packet->ctx, packet->link_length) : 0;
}

static __always_inline __u64 upper_of6(const struct packet *packet)
{
    const struct sluice_control *state = control();

    return state && state->lists ? upper6(packet->ctx, packet->link_length) : 0;
}

/// The same, but of an answer to the packet: ports change places, and what has no direction stays. What errors quote is asked
/// only where a packet leaves.
static __always_inline __u64 reversed(__u64 upper)
{
    __u8 protocol = upper >> 32;

    upper &= ~UPPER_ICMP_ERROR;
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 || protocol == IPPROTO_MH)
        return upper;
    return (upper & ~0xffffffffULL) | (upper & 0xffff) << 16 | (upper >> 16 & 0xffff);
}

// MARK: Step 2: packets for the gateway

/// What is not IPsec passes, unless the rules are about its way back: then it should have come through a tunnel.
static __always_inline int pass_local4(const struct packet *packet, __u32 verdict)
{
    if (is_closed())
        return drop(SLUICE_DROP_CLOSED);
    if (decide4(packet->ip4->daddr, packet->ip4->saddr, reversed(upper_of4(packet))) == SLUICE_ACTION_PROTECT)
        return drop(SLUICE_DROP_CLEAR_INBOUND);
    return pass(verdict);
}

static __always_inline int pass_local6(const struct packet *packet, __u32 verdict)
{
    struct in6_addr source = packet->ip6->saddr;
    struct in6_addr destination = packet->ip6->daddr;

    if (is_closed())
        return drop(SLUICE_DROP_CLOSED);
    if (decide6(&destination, &source, reversed(upper_of6(packet))) == SLUICE_ACTION_PROTECT)
        return drop(SLUICE_DROP_CLEAR_INBOUND);
    return pass(verdict);
}

static __always_inline int is_ike_port(__be16 port)
{
    return port == bpf_htons(IKE_PORT) || port == bpf_htons(sluice_constants.udp_port);
}

/// UDP to one of the ports of IKE and ESP; everything else is left to the caller, which -1 says.
///
/// RFC 3948 section 2: on the NAT traversal port ESP begins with its SPI, which is never zero; IKE with four zero bytes; a
/// keepalive is a single 0xff. The UDP length tells, as short Ethernet frames are padded.
static __always_inline int steer_udp(const struct packet *packet, void *start)
{
    struct udphdr *udp = start;
    __be32 *marker = (void *)(udp + 1);

    if ((void *)(udp + 1) > packet->end)
        return pass(SLUICE_PASS_MALFORMED);
    if (udp->dest == bpf_htons(IKE_PORT))
        return pass(SLUICE_PASS_IKE);
    if (udp->dest != bpf_htons(sluice_constants.udp_port))
        return -1;
    if (bpf_ntohs(udp->len) < sizeof(*udp))
        return pass(SLUICE_PASS_MALFORMED);
    if (bpf_ntohs(udp->len) < sizeof(*udp) + MARKER_LENGTH)
        return pass(SLUICE_PASS_KEEPALIVE);
    if ((void *)(marker + 1) > packet->end)
        return pass(SLUICE_PASS_MALFORMED);
    return *marker ? to_socket(packet->ctx, SLUICE_SOCKET_UDP_ESP) : pass(SLUICE_PASS_IKE);
}

/// Whether the first fragment of a UDP datagram is for IKE or ESP.
static __always_inline int is_ike_datagram(const struct packet *packet, void *start)
{
    struct udphdr *udp = start;

    return (void *)(udp + 1) <= packet->end && is_ike_port(udp->dest);
}

/// Whether the packet that an ICMP error quotes is ESP, AH or IKE. Behind an IPv4 header with options it is not looked at.
static __always_inline int is_own_ipsec(const struct packet *packet, __u8 protocol, void *payload)
{
    struct udphdr *udp = payload;

    if (protocol == IPPROTO_ESP || protocol == IPPROTO_AH)
        return 1;
    return protocol == IPPROTO_UDP && (void *)(udp + 1) <= packet->end && is_ike_port(udp->source);
}

/// An ICMP error about a packet of ours that was protected already, or was IKE: routers on the way send it in clear.
static __always_inline int is_outer_error4(const struct packet *packet, void *start)
{
    struct icmp_header *icmp = start;
    struct iphdr *quoted = (void *)(icmp + 1);

    if ((void *)(quoted + 1) > packet->end)
        return 0;
    if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETER_PROBLEM)
        return 0;
    return quoted->ihl == 5 && quoted->saddr == packet->ip4->daddr && is_own_ipsec(packet, quoted->protocol, quoted + 1);
}

static __always_inline int is_outer_error6(const struct packet *packet, void *start)
{
    struct icmp_header *icmp = start;
    struct ipv6hdr *quoted = (void *)(icmp + 1);

    if ((void *)(quoted + 1) > packet->end)
        return 0;
    if (icmp->type < ICMP6_UNREACHABLE || icmp->type > ICMP6_PARAMETER_PROBLEM)
        return 0;
    for (int word = 0; word < 4; word++) {
        if (quoted->saddr.s6_addr32[word] != packet->ip6->daddr.s6_addr32[word])
            return 0;
    }
    return is_own_ipsec(packet, quoted->nexthdr, quoted + 1);
}

/// RFC 4861 section 7.1: nobody beyond the link can send it. Router solicitation to redirect.
static __always_inline int is_neighbour_discovery(const struct packet *packet, void *start)
{
    struct icmp_header *icmp = start;

    return (void *)(icmp + 1) <= packet->end && packet->ip6->hop_limit == 255 &&
           icmp->type >= ICMP6_ROUTER_SOLICITATION && icmp->type <= ICMP6_REDIRECT;
}

static __always_inline int steer_local4(const struct packet *packet)
{
    struct iphdr *ip = packet->ip4;
    void *payload = (void *)ip + ip->ihl * 4;
    __be16 fragment = ip->frag_off & bpf_htons(IPV4_FRAGMENT);
    int action;

    if (!(packet->roles & SLUICE_ROLE_WAN))
        return pass(SLUICE_PASS_LOCAL);
    switch (ip->protocol) {
    case IPPROTO_ESP:
        return fragment ? pass(SLUICE_PASS_OUTER_FRAGMENT) : to_socket(packet->ctx, SLUICE_SOCKET_ESP);
    case IPPROTO_AH:
        return fragment ? pass(SLUICE_PASS_OUTER_FRAGMENT) : to_socket(packet->ctx, SLUICE_SOCKET_AH);
    case IPPROTO_UDP:
        if (fragment) {
            if ((fragment & bpf_htons(IPV4_OFFSET)) || is_ike_datagram(packet, payload))
                return pass(SLUICE_PASS_OUTER_FRAGMENT);
            return pass_local4(packet, SLUICE_PASS_OUTER_FRAGMENT);
        }
        action = steer_udp(packet, payload);
        if (action >= 0)
            return action;
        break;
    case IPPROTO_ICMP:
        if (!fragment && is_outer_error4(packet, payload))
            return pass(SLUICE_PASS_LOCAL);
    }
    return pass_local4(packet, SLUICE_PASS_LOCAL);
}

/// An IPv6 fragment for the gateway.
static __always_inline int steer_fragment6(const struct packet *packet, struct fragment_header *header)
{
    if ((void *)(header + 1) > packet->end)
        return pass(SLUICE_PASS_MALFORMED);
    if (header->next == IPPROTO_ESP || header->next == IPPROTO_AH)
        return pass(SLUICE_PASS_OUTER_FRAGMENT);
    if (header->next == IPPROTO_UDP &&
        ((header->offset & bpf_htons(IPV6_OFFSET)) || is_ike_datagram(packet, header + 1)))
        return pass(SLUICE_PASS_OUTER_FRAGMENT);
    return pass_local6(packet, SLUICE_PASS_OUTER_FRAGMENT);
}

/// Behind the extension headers.
static __always_inline int steer_upper6(const struct packet *packet, __u8 protocol, void *payload)
{
    int action;

    switch (protocol) {
    case IPPROTO_ESP:
        return to_socket(packet->ctx, SLUICE_SOCKET_ESP);
    case IPPROTO_AH:
        return to_socket(packet->ctx, SLUICE_SOCKET_AH);
    case IPPROTO_UDP:
        action = steer_udp(packet, payload);
        if (action >= 0)
            return action;
        break;
    case IPPROTO_ICMPV6:
        if (is_neighbour_discovery(packet, payload) || is_outer_error6(packet, payload))
            return pass(SLUICE_PASS_LOCAL);
    }
    return pass_local6(packet, SLUICE_PASS_LOCAL);
}

static __always_inline int steer_local6(const struct packet *packet)
{
    struct ipv6hdr *ip = packet->ip6;
    struct extension_header *header = (void *)(ip + 1);
    __u8 next = ip->nexthdr;

    if (!(packet->roles & SLUICE_ROLE_WAN))
        return pass(SLUICE_PASS_LOCAL);
    for (int count = 0; count <= IPV6_MAX_EXTENSIONS; count++) {
        if (next == IPPROTO_FRAGMENT)
            return steer_fragment6(packet, (struct fragment_header *)header);
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
            return steer_upper6(packet, next, header);
        if ((void *)(header + 1) > packet->end)
            return pass(SLUICE_PASS_MALFORMED);
        if (next == IPPROTO_ROUTING && header->segments_left)
            break;
        next = header->next;
        header = (void *)header + 8 + header->length * 8;
    }
    return pass_local6(packet, SLUICE_PASS_EXTENSION_HEADERS);
}

// MARK: Steps 3 to 5: packets for others

/// Multicast (224.0.0.0/4), limited broadcast and loopback, which no router forwards (RFC 1812 section 5.3).
static __always_inline int is_group4(__u32 address)
{
    return address >> 28 == 14 || address == 0xffffffff || address >> 24 == 127;
}

/// Multicast (ff00::/8) and link-local (fe80::/10), so that neighbour discovery works within ::/0.
static __always_inline int is_group6(const struct in6_addr *address)
{
    return address->s6_addr[0] == 0xff || (address->s6_addr[0] == 0xfe && (address->s6_addr[1] & 0xc0) == 0x80);
}

/// What no rule takes from a LAN port.
static __always_inline int pass_through(__u32 action, __u32 inside)
{
    if (is_closed())
        return drop(SLUICE_DROP_CLOSED);
    if (action == SLUICE_ACTION_PASS)
        return pass(SLUICE_PASS_BYPASS);
    return pass(inside ? SLUICE_PASS_INSIDE : SLUICE_PASS_UNPROTECTED);
}

static __always_inline int is_for_socket(__u32 action)
{
    return action == SLUICE_ACTION_PROTECT || action == SLUICE_ACTION_DISCARD;
}

static __always_inline int steer_through4(const struct packet *packet)
{
    __be32 source = packet->ip4->saddr;
    __be32 destination = packet->ip4->daddr;
    __u64 upper = upper_of4(packet);
    __u32 action;

    if (packet->roles & SLUICE_ROLE_LAN) {
        __u32 inside = inside4(destination);

        action = decide4(source, destination, as_narrow_as(upper, inside));
        if (is_for_socket(action))
            return to_socket(packet->ctx, SLUICE_SOCKET_PROTECTED);
        if ((packet->roles & SLUICE_ROLE_WAN) &&
            decide4(destination, source, as_narrow_as(reversed(upper), inside4(source))) ==
                SLUICE_ACTION_PROTECT)
            return drop(SLUICE_DROP_CLEAR_INBOUND);
        return pass_through(action, inside);
    }
    if (is_closed())
        return drop(SLUICE_DROP_CLOSED);
    if (decide4(destination, source, reversed(upper)) == SLUICE_ACTION_PROTECT)
        return drop(SLUICE_DROP_CLEAR_INBOUND);
    action = decide4(source, destination, upper & ~UPPER_ICMP_ERROR);
    return is_for_socket(action) ? drop(SLUICE_DROP_STRANGER) : pass(SLUICE_PASS_NOT_LOCAL);
}

static __always_inline int steer_through6(const struct packet *packet)
{
    struct in6_addr source = packet->ip6->saddr;
    struct in6_addr destination = packet->ip6->daddr;
    __u64 upper = upper_of6(packet);
    __u32 action;

    if (packet->roles & SLUICE_ROLE_LAN) {
        __u32 inside = inside6(&destination);

        action = decide6(&source, &destination, as_narrow_as(upper, inside));
        if (is_for_socket(action))
            return to_socket(packet->ctx, SLUICE_SOCKET_PROTECTED);
        if ((packet->roles & SLUICE_ROLE_WAN) &&
            decide6(&destination, &source, as_narrow_as(reversed(upper), inside6(&source))) ==
                SLUICE_ACTION_PROTECT)
            return drop(SLUICE_DROP_CLEAR_INBOUND);
        return pass_through(action, inside);
    }
    if (is_closed())
        return drop(SLUICE_DROP_CLOSED);
    if (decide6(&destination, &source, reversed(upper)) == SLUICE_ACTION_PROTECT)
        return drop(SLUICE_DROP_CLEAR_INBOUND);
    action = decide6(&source, &destination, upper & ~UPPER_ICMP_ERROR);
    return is_for_socket(action) ? drop(SLUICE_DROP_STRANGER) : pass(SLUICE_PASS_NOT_LOCAL);
}

// MARK: By family

static __always_inline int steer_ipv4(struct packet *packet, void *start)
{
    struct iphdr *ip = start;
    struct sluice_address address = {};

    if ((void *)(ip + 1) > packet->end || ip->version != 4 || ip->ihl < 5)
        return pass(SLUICE_PASS_MALFORMED);
    packet->ip4 = ip;
    address.bytes[10] = address.bytes[11] = 0xff;
    __builtin_memcpy(&address.bytes[12], &ip->daddr, 4);
    if (is_local(&address))
        return steer_local4(packet);
    if (is_group4(bpf_ntohl(ip->daddr)))
        return pass(SLUICE_PASS_GROUP);
    return steer_through4(packet);
}

static __always_inline int steer_ipv6(struct packet *packet, void *start)
{
    struct ipv6hdr *ip = start;
    struct sluice_address address;

    if ((void *)(ip + 1) > packet->end || ip->version != 6)
        return pass(SLUICE_PASS_MALFORMED);
    packet->ip6 = ip;
    __builtin_memcpy(address.bytes, &ip->daddr, 16);
    if (is_local(&address))
        return steer_local6(packet);
    if (is_group6(&ip->daddr))
        return pass(SLUICE_PASS_GROUP);
    return steer_through6(packet);
}

// MARK: Step 1: the link layer

SEC("xdp")
int sluice_steering(struct xdp_md *ctx)
{
    void *start = (void *)(long)ctx->data;
    struct packet packet = {.ctx = ctx, .end = (void *)(long)ctx->data_end};
    struct ethhdr *ethernet = start;
    void *payload = ethernet + 1;
    struct sluice_link link = {};
    const __u32 *roles;
    __be16 protocol;

    if (payload > packet.end)
        return pass(SLUICE_PASS_MALFORMED);
    if (ethernet->h_dest[0] & 1)
        return pass(SLUICE_PASS_GROUP);
    __builtin_memcpy(link.mac, ethernet->h_dest, 6);
    protocol = ethernet->h_proto;
    if (protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD)) {
        struct vlan_tag *tag = payload;

        payload = tag + 1;
        if (payload > packet.end)
            return pass(SLUICE_PASS_MALFORMED);
        link.vlan = bpf_ntohs(tag->control) & VLAN_IDENTIFIER;
        // The host's VLAN interfaces that are known here are all 802.1Q. A tag without a VLAN is only a priority.
        if (link.vlan && protocol == bpf_htons(ETH_P_8021AD))
            return pass(SLUICE_PASS_FOREIGN);
        protocol = tag->protocol;
    }
    if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6))
        return pass(SLUICE_PASS_NOT_IP);
    roles = bpf_map_lookup_elem(&sluice_links, &link);
    if (!roles)
        return pass(SLUICE_PASS_FOREIGN);
    packet.roles = *roles;
    packet.link_length = payload - start;
    return protocol == bpf_htons(ETH_P_IP) ? steer_ipv4(&packet, payload) : steer_ipv6(&packet, payload);
}

char _license[] SEC("license") = "Dual BSD/GPL";
