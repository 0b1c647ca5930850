// The steering program: decides per packet between the gateway's socket and the host's network stack. Nothing else.
//
//   1. Ethernet, at most one VLAN tag          broadcast and multicast MAC, everything but IP   → host
//   2. destination is one of our addresses
//        WAN port: ESP, AH, UDP-encapsulated ESP                                               → socket
//        all else (IKE, SSH, ICMP, ...; also on a LAN port and within a protected prefix)      → host
//   3. LAN port: destination lies in a protected prefix                                        → socket
//   4. all else                                                                                → host
//
// Decided on purpose:
// - Outer fragments (WAN, for us) go to the host, first and later ones alike, as only all of them together make a packet. The
//   host reassembles them. An IPv6 fragment header counts as a fragment even when it is the only one (RFC 6946).
// - LAN fragments are steered like whole packets: only the destination decides, and every fragment carries it.
// - IPv6 extension headers matter on WAN only. Hop-by-hop, destination options and finished routing headers are walked, eight
//   at most; a routing header with segments left, or a ninth header, goes to the host.
// - A packet that belongs to a socket while its queue has none goes to the host and is counted.
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
#define IPV6_MAX_EXTENSIONS 8
#define MARKER_LENGTH 4 // the SPI's place, RFC 3948 section 2

/// This port's constants, alone in their section: set before loading, known to the verifier.
volatile const struct sluice_constants sluice_constants SEC(SLUICE_CONSTANTS_SECTION) = {
    .roles = SLUICE_ROLE_LAN | SLUICE_ROLE_WAN,
    .udp_port = 4500,
};

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, SLUICE_MAX_QUEUES);
    __type(key, __u32);
    __type(value, __u32);
} sluice_sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLUICE_VERDICTS);
    __type(key, __u32);
    __type(value, __u64);
} sluice_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, SLUICE_MAX_LOCAL);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct sluice_address);
    __type(value, __u8);
} sluice_local SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, SLUICE_MAX_PREFIXES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct sluice_prefix4);
    __type(value, __u8);
} sluice_prefix4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, SLUICE_MAX_PREFIXES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct sluice_prefix6);
    __type(value, __u8);
} sluice_prefix6 SEC(".maps");

struct vlan_tag {
    __be16 control;
    __be16 protocol;
};

struct extension_header {
    __u8 next;
    __u8 length; // in 8 bytes, without the first 8
    __u8 routing_type;
    __u8 segments_left;
    __u8 rest[4];
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

static __always_inline int to_socket(struct xdp_md *ctx, __u32 verdict)
{
    int action = bpf_redirect_map(&sluice_sockets, ctx->rx_queue_index, XDP_PASS);

    count(action == XDP_REDIRECT ? verdict : SLUICE_PASS_NO_SOCKET);
    return action;
}

// MARK: Step 2: packets for the gateway

static __always_inline int is_local(const struct sluice_address *address)
{
    return bpf_map_lookup_elem(&sluice_local, address) != 0;
}

/// RFC 3948 section 2: on the NAT traversal port ESP begins with its SPI, which is never zero; IKE with four zero bytes; a
/// keepalive is a single 0xff. The UDP length tells, as short Ethernet frames are padded.
static __always_inline int steer_udp(struct xdp_md *ctx, void *start, void *end)
{
    struct udphdr *udp = start;
    __be32 *marker = (void *)(udp + 1);

    if ((void *)(udp + 1) > end)
        return pass(SLUICE_PASS_MALFORMED);
    if (udp->dest != bpf_htons(sluice_constants.udp_port))
        return pass(SLUICE_PASS_LOCAL);
    if (bpf_ntohs(udp->len) < sizeof(*udp))
        return pass(SLUICE_PASS_MALFORMED);
    if (bpf_ntohs(udp->len) < sizeof(*udp) + MARKER_LENGTH)
        return pass(SLUICE_PASS_KEEPALIVE);
    if ((void *)(marker + 1) > end)
        return pass(SLUICE_PASS_MALFORMED);
    return *marker ? to_socket(ctx, SLUICE_SOCKET_UDP_ESP) : pass(SLUICE_PASS_IKE);
}

static __always_inline int steer_ipsec(struct xdp_md *ctx, __u8 protocol, void *payload, void *end)
{
    switch (protocol) {
    case IPPROTO_ESP:
        return to_socket(ctx, SLUICE_SOCKET_ESP);
    case IPPROTO_AH:
        return to_socket(ctx, SLUICE_SOCKET_AH);
    case IPPROTO_UDP:
        return steer_udp(ctx, payload, end);
    default:
        return pass(SLUICE_PASS_LOCAL);
    }
}

static __always_inline int is_ipsec_carrier(__u8 protocol)
{
    return protocol == IPPROTO_ESP || protocol == IPPROTO_AH || protocol == IPPROTO_UDP;
}

static __always_inline int steer_local4(struct xdp_md *ctx, struct iphdr *ip, void *end)
{
    if (!(sluice_constants.roles & SLUICE_ROLE_WAN) || !is_ipsec_carrier(ip->protocol))
        return pass(SLUICE_PASS_LOCAL);
    if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
        return pass(SLUICE_PASS_OUTER_FRAGMENT);
    return steer_ipsec(ctx, ip->protocol, (void *)ip + ip->ihl * 4, end);
}

static __always_inline int steer_local6(struct xdp_md *ctx, struct ipv6hdr *ip, void *end)
{
    struct extension_header *header = (void *)(ip + 1);
    __u8 next = ip->nexthdr;

    if (!(sluice_constants.roles & SLUICE_ROLE_WAN))
        return pass(SLUICE_PASS_LOCAL);
    for (int count = 0; count <= IPV6_MAX_EXTENSIONS; count++) {
        if (next == IPPROTO_FRAGMENT)
            return pass(SLUICE_PASS_OUTER_FRAGMENT);
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
            return steer_ipsec(ctx, next, header, end);
        if ((void *)(header + 1) > end)
            return pass(SLUICE_PASS_MALFORMED);
        if (next == IPPROTO_ROUTING && header->segments_left)
            break;
        next = header->next;
        header = (void *)header + 8 + header->length * 8;
    }
    return pass(SLUICE_PASS_EXTENSION_HEADERS);
}

// MARK: Step 3: packets from the LAN

static __always_inline int steer_prefix(struct xdp_md *ctx, const __u8 *action)
{
    if (action && *action == SLUICE_PREFIX_PROTECT)
        return to_socket(ctx, SLUICE_SOCKET_PROTECTED);
    return pass(SLUICE_PASS_UNPROTECTED);
}

// MARK: Both, by family

/// Multicast, reserved and limited broadcast (224.0.0.0/3), link-local (169.254.0.0/16) and loopback: never forwarded.
static __always_inline int is_group4(__u32 address)
{
    return address >> 29 == 7 || address >> 16 == 0xa9fe || address >> 24 == 127;
}

/// Multicast (ff00::/8) and link-local (fe80::/10), so that neighbour discovery works within ::/0.
static __always_inline int is_group6(const struct in6_addr *address)
{
    return address->s6_addr[0] == 0xff || (address->s6_addr[0] == 0xfe && (address->s6_addr[1] & 0xc0) == 0x80);
}

static __always_inline int steer_ipv4(struct xdp_md *ctx, struct iphdr *ip, void *end)
{
    struct sluice_address address = {};
    struct sluice_prefix4 prefix;

    if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
        return pass(SLUICE_PASS_MALFORMED);
    address.bytes[10] = address.bytes[11] = 0xff;
    __builtin_memcpy(&address.bytes[12], &ip->daddr, 4);
    if (is_local(&address))
        return steer_local4(ctx, ip, end);
    if (is_group4(bpf_ntohl(ip->daddr)))
        return pass(SLUICE_PASS_GROUP);
    if (!(sluice_constants.roles & SLUICE_ROLE_LAN))
        return pass(SLUICE_PASS_NOT_LOCAL);
    prefix.length = 32;
    __builtin_memcpy(prefix.bytes, &ip->daddr, 4);
    return steer_prefix(ctx, bpf_map_lookup_elem(&sluice_prefix4, &prefix));
}

static __always_inline int steer_ipv6(struct xdp_md *ctx, struct ipv6hdr *ip, void *end)
{
    struct sluice_prefix6 prefix;

    if ((void *)(ip + 1) > end || ip->version != 6)
        return pass(SLUICE_PASS_MALFORMED);
    prefix.length = 128;
    __builtin_memcpy(prefix.bytes, &ip->daddr, 16);
    if (is_local((struct sluice_address *)prefix.bytes))
        return steer_local6(ctx, ip, end);
    if (is_group6(&ip->daddr))
        return pass(SLUICE_PASS_GROUP);
    if (!(sluice_constants.roles & SLUICE_ROLE_LAN))
        return pass(SLUICE_PASS_NOT_LOCAL);
    return steer_prefix(ctx, bpf_map_lookup_elem(&sluice_prefix6, &prefix));
}

// MARK: Step 1: the link layer

SEC("xdp")
int sluice_steering(struct xdp_md *ctx)
{
    void *start = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *ethernet = start;
    void *payload = ethernet + 1;
    __be16 protocol;

    if (payload > end)
        return pass(SLUICE_PASS_MALFORMED);
    if (ethernet->h_dest[0] & 1)
        return pass(SLUICE_PASS_GROUP);
    protocol = ethernet->h_proto;
    if (protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD)) {
        struct vlan_tag *tag = payload;

        payload = tag + 1;
        if (payload > end)
            return pass(SLUICE_PASS_MALFORMED);
        protocol = tag->protocol;
    }
    if (protocol == bpf_htons(ETH_P_IP))
        return steer_ipv4(ctx, payload, end);
    if (protocol == bpf_htons(ETH_P_IPV6))
        return steer_ipv6(ctx, payload, end);
    return pass(SLUICE_PASS_NOT_IP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
