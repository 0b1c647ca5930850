// The drop reasons as data. One row per case, in the order of the cases.

extension DropReason {
    static let receiveDefinitions: [Definition] = [
        .init(
            .malformedEthernet, "malformed-ethernet", .warning,
            "The frame is too short for its Ethernet or VLAN header.",
            "Look for a faulty cable, port or driver."),
        .init(
            .unsupportedEthertype, "unsupported-ethertype", .info,
            "The frame carries neither IPv4 nor IPv6.",
            "Nothing to do unless such frames should be tunnelled; Sluice carries IP only."),
        .init(
            .malformedIPv4, "malformed-ipv4", .warning,
            "The IPv4 header is truncated or its lengths contradict each other.",
            "Capture on the sender's side; the sender or something on the way damages packets."),
        .init(
            .malformedIPv6, "malformed-ipv6", .warning,
            "The IPv6 header or an extension header is truncated or contradicts the packet's length.",
            "Capture on the sender's side; the sender or something on the way damages packets."),
        .init(
            .ipv4Checksum, "ipv4-checksum", .warning,
            "The IPv4 header checksum is wrong.",
            "Look for a faulty link; on virtual links turn transmit checksum offload off at the sender."),
        .init(
            .extensionHeaderLimit, "extension-header-limit", .warning,
            "The IPv6 packet has more extension headers than the gateway walks.",
            "Find the sender; legitimate packets have few."),
        .init(
            .unexpectedPacket, "unexpected-packet", .warning,
            "A packet reached this port that the steering program should have left to the host.",
            "Check that each interface has the role it was given with --lan or --wan."),
        .init(
            .outerFragment, "outer-fragment", .warning,
            "An ESP packet arrived as an IP fragment.",
            "Lower --mtu at the peer or raise the path's MTU so that ESP packets are not fragmented on the way."),
        .init(
            .malformedESP, "malformed-esp", .warning,
            "The packet is too short for ESP, or its length does not fit the cipher.",
            "Check that both ends use the same algorithms; otherwise the path damages packets."),
        .init(
            .malformedUDPEncapsulation, "malformed-udp-encapsulation", .warning,
            "The UDP header around ESP contradicts the packet's length.",
            "Capture on the peer's side; a NAT or the peer damages packets."),
        .init(
            .natKeepalive, "nat-keepalive", .info,
            "The peer sent a one-byte NAT keepalive (RFC 3948 2.3).",
            "Nothing to do."),
        .init(
            .nonESPMarker, "non-esp-marker", .info,
            "An IKE message on port 4500 reached a worker instead of the host.",
            "Nothing to do when rare; otherwise check the steering program with sluice status."),
        .init(
            .unsupportedAH, "unsupported-ah", .warning,
            "The packet is protected with AH, which the workers do not process.",
            "Configure ESP at the peer."),
    ]

    static let inboundDefinitions: [Definition] = [
        .init(
            .unknownSPI, "unknown-spi", .warning,
            "No SA has the packet's SPI.",
            "Compare sluice status with the peer's SAs; after a restart with manual keys load the same file on both ends."
        ),
        .init(
            .spiDestinationMismatch, "spi-destination-mismatch", .warning,
            "The SPI is known but the packet's outer addresses are not those of the SA.",
            "Check the src and dst of the state on both ends."),
        .init(
            .encapsulationMismatch, "encapsulation-mismatch", .warning,
            "The packet came in UDP although the SA is plain ESP, or the reverse, or from other UDP ports.",
            "Give both ends the same encap setting."),
        .init(
            .replayDuplicate, "replay-duplicate", .warning,
            "The sequence number was received before.",
            "Nothing to do when rare; a path that duplicates packets or an attacker who replays them causes it."),
        .init(
            .replayTooOld, "replay-too-old", .warning,
            "The sequence number lies before the replay window.",
            "Raise --replay-window if the path reorders widely; otherwise suspect a replay."),
        .init(
            .replayAtCommit, "replay-at-commit", .warning,
            "Two copies of one packet came in one batch and the second was refused after authentication.",
            "As for replay-duplicate."),
        .init(
            .integrityFailure, "integrity-failure", .error,
            "The integrity check value is wrong: the packet was altered or sealed with another key.",
            "If every packet fails, compare keys, algorithms, ICV length and ESN on both ends; else suspect forgery."),
        .init(
            .badPadding, "bad-padding", .warning,
            "The decrypted padding is not 1, 2, 3, ... (RFC 4303 2.4).",
            "The peer pads in its own way; report it to the peer's maker."),
        .init(
            .badTrailer, "bad-trailer", .warning,
            "The pad length is larger than the decrypted payload.",
            "The peer builds wrong packets, or a NULL-encrypted packet was sealed wrongly; check algorithms."),
        .init(
            .unsupportedNextHeader, "unsupported-next-header", .warning,
            "The decrypted payload is neither IPv4 nor IPv6 as the SA's mode wants.",
            "Check that both ends use tunnel mode."),
        .init(
            .dummyPacket, "dummy-packet", .info,
            "A dummy packet (next header 59) that hides how much traffic flows (RFC 4303 2.6).",
            "Nothing to do."),
        .init(
            .innerMalformed, "inner-malformed", .warning,
            "The decrypted packet is not a valid IP packet.",
            "The peer tunnels damaged packets; capture on its inner side."),
        .init(
            .innerLength, "inner-length", .warning,
            "The decrypted packet's own length is larger than the payload.",
            "The peer tunnels truncated packets; capture on its inner side."),
        .init(
            .selectorMismatch, "selector-mismatch", .error,
            "The decrypted packet is outside the SA's traffic selectors (RFC 4301 5.2).",
            "Give both ends the same selectors; otherwise the peer sends what was not agreed."),
        .init(
            .noInboundPolicy, "no-inbound-policy", .error,
            "The decrypted packet matches no inbound or forward policy, or one that discards.",
            "Add a policy with dir fwd for this traffic (dir in when it is for the gateway itself), or sel to the state."
        ),
        .init(
            .inboundProtectionMismatch, "inbound-protection-mismatch", .error,
            "The policy wants this traffic through an SA with another reqid, other endpoints or no SA at all.",
            "Give the inbound policy's template the reqid, src and dst of the state."),
        .init(
            .ecnIllegal, "ecn-illegal", .warning,
            "The outer header says congestion experienced but the inner one cannot carry it (RFC 6040 4.2).",
            "The path is congested and the inner flow has no ECN; nothing to do unless frequent."),
    ]
}

// The second half of the table: what happens after the policy has spoken.

extension DropReason {
    static let outboundDefinitions: [Definition] = [
        .init(
            .notEncryptedByPolicy, "not-encrypted-by-policy", .info,
            "A policy says that this traffic is discarded.",
            "Change the policy with action block if this traffic should flow."),
        .init(
            .noPolicy, "no-policy", .warning,
            "No outbound policy matches the packet.",
            "Add a policy with dir out for this traffic, or narrow what is routed to the gateway."),
        .init(
            .noOutboundSA, "no-outbound-sa", .error,
            "A policy wants protection but there is no SA with its reqid and endpoints.",
            "Add the state, or check that its reqid, src and dst are those of the policy's template."),
        .init(
            .sequenceExhausted, "sequence-exhausted", .error,
            "The SA used its last sequence number; it must not wrap (RFC 4303 3.3.3).",
            "Install a new SA; use flag esn or rekey earlier."),
        .init(
            .lifetimeBytes, "lifetime-bytes", .error,
            "The SA reached its hard limit of bytes.",
            "Install a new SA or raise limit byte-hard."),
        .init(
            .lifetimePackets, "lifetime-packets", .error,
            "The SA reached its hard limit of packets.",
            "Install a new SA or raise limit packet-hard."),
        .init(
            .lifetimeTime, "lifetime-time", .error,
            "The SA reached its hard limit of time.",
            "Install a new SA or raise limit time-hard."),
        .init(
            .saRetired, "sa-retired", .info,
            "The SA was removed while the packet was on its way to the SA's worker.",
            "Nothing to do; a few occur when SAs are replaced."),
        .init(
            .tooBigSentICMP, "too-big-sent-icmp", .info,
            "The packet does not fit the tunnel and its sender was told so.",
            "Nothing to do; the sender lowers its path MTU."),
        .init(
            .tooBig, "too-big", .warning,
            "The packet does not fit the tunnel and its sender could not be told.",
            "Lower the MTU of the sender or raise that of the WAN path."),
        .init(
            .fragmentNeedsReassembly, "fragment-needs-reassembly", .warning,
            "A later fragment has no ports, and the policies for its addresses differ by port.",
            "Use policies without ports for these addresses, or avoid fragmentation before the gateway."),
        .init(
            .cryptoError, "crypto-error", .error,
            "The cipher failed for a reason other than the integrity check.",
            "See the log for the engine's message; try --engine openssl."),
    ]

    static let forwardDefinitions: [Definition] = [
        .init(
            .hopLimitExpired, "hop-limit-expired", .info,
            "The packet's TTL or hop limit reached zero.",
            "Nothing to do for traceroute; otherwise look for a routing loop."),
        .init(
            .noRoute, "no-route", .error,
            "No route leads to the packet's destination.",
            "Add a route on the host (ip route add); the gateway follows it at once."),
        .init(
            .routeUnreachable, "route-unreachable", .warning,
            "The route to the destination is of type unreachable or blackhole, or its link is down.",
            "Check ip route get for the destination and the link's state."),
        .init(
            .routeProhibited, "route-prohibited", .warning,
            "The route to the destination is of type prohibit.",
            "Check ip route get for the destination."),
        .init(
            .neighbourUnresolved, "neighbour-unresolved", .warning,
            "The next hop's link-layer address is not known yet and the packet could not wait.",
            "Nothing to do at the start of traffic; otherwise check that the next hop answers ARP or ND."),
        .init(
            .neighbourQueueFull, "neighbour-queue-full", .info,
            "More packets wait for an unresolved next hop than are kept; the latest of each neighbour are.",
            "Nothing to do at the start of traffic; otherwise as for neighbour-unresolved."),
        .init(
            .neighbourFailed, "neighbour-failed", .error,
            "The next hop does not answer ARP or neighbour discovery.",
            "Check that the next hop is up and on the same link."),
        .init(
            .egressNotAPort, "egress-not-a-port", .error,
            "The route leads out of an interface that the gateway does not own.",
            "Name the interface with --lan or --wan, or change the route."),
        .init(
            .localDeliveryUnavailable, "local-delivery-unavailable", .warning,
            "The decrypted packet is for the gateway's host and cannot be delivered to it.",
            "Address hosts behind the gateway instead of the gateway itself."),
        .init(
            .icmpRateLimited, "icmp-rate-limited", .info,
            "An ICMP error was due but too many were sent recently.",
            "Nothing to do unless constant; then find who sends packets that cannot be carried."),
        .init(
            .transmitRingFull, "transmit-ring-full", .error,
            "The port cannot send as fast as packets come.",
            "Raise --ring-size for bursts; otherwise the link is saturated."),
        .init(
            .outputOverload, "output-overload", .error,
            "The port cannot send as fast as packets come; the packet was dropped before it was encrypted.",
            "Raise --ring-size for bursts; otherwise the link is saturated."),
        .init(
            .framePoolEmpty, "frame-pool-empty", .error,
            "No free packet buffer was left.",
            "Raise --frames."),
        .init(
            .roundOverflow, "round-overflow", .error,
            "One round of a worker led to more further packets (from tunnel to tunnel, ICMP errors) than it keeps.",
            "Lower --batch, and report it: a round makes room before it is needed."),
        .init(
            .cipherOverload, "cipher-overload", .error,
            "The cipher engine keeps as many packets as a worker gives it.",
            "Use another engine, or more workers."),
        .init(
            .handoverRingFull, "handover-ring-full", .error,
            "The SA's worker cannot take packets, or give frames back, as fast as others hand them over.",
            "Use several SAs per tunnel, or more workers with receive-side scaling that spreads the load."),
    ]
}
