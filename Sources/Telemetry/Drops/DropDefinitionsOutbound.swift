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
            .handoverRingFull, "handover-ring-full", .error,
            "The SA's worker cannot take packets, or give frames back, as fast as others hand them over.",
            "Use several SAs per tunnel, or more workers with receive-side scaling that spreads the load."),
    ]
}
