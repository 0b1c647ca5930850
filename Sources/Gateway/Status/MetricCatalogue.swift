import ControlPlane
import Dataplane
import IKEv2
import Telemetry
import XDP

/// Every figure that a gateway has of itself. Status documents, their text and VICI's answers read figures by these rows; a new
/// one is a row beside what counts it.
package enum MetricCatalogue {
    package static let groups: [MetricGroup] = [
        MetricGroup("gateway", place: "gateway, frames", hasMembers: true, GatewayMetrics.all),
        MetricGroup("worker", labels: ["worker"], place: "workers[].counters", WorkerMetrics.all),
        MetricGroup("queue", labels: ["port", "queue"], place: "ports[].queues[]", hasMembers: true, QueueMetrics.all),
        MetricGroup("steering", labels: ["port", "verdict"], place: "ports[].steering", SteeringMetrics.all),
        MetricGroup("drop", labels: ["worker", "reason"], place: "drops", DropMetrics.all),
        MetricGroup(
            "sa", labels: ["spi", "direction", "name"], place: "security_associations[]", hasMembers: true,
            AssociationMetrics.all),
        MetricGroup("policy", labels: ["policy"], place: "policies[]", hasMembers: true, PolicyMetrics.all),
        MetricGroup("boundary", place: "boundary", hasMembers: true, BoundaryMetrics.all),
        MetricGroup("ike", place: "negotiation.counters", NegotiationMetrics.all),
        MetricGroup("ike_socket", place: "negotiation.counters", NegotiationMetrics.sockets.listed),
        MetricGroup("ike_socket", place: "", NegotiationMetrics.sockets.others),
        MetricGroup("child", labels: ["connection", "child"], place: "list-sas", ChildMetrics.all),
        MetricGroup("exchange", labels: ["connection"], place: "get-counters", ExchangeCounters.definitions),
    ]

    /// All of it as Markdown, one table for each group.
    package static var markdown: String {
        var output =
            "# Figures of a gateway\n\nMade from the list that status documents are read by: `sluice metrics`.\n"
        for group in groups where !group.place.isEmpty {
            output += "\n## \(group.name)\n\n`\(group.place)`"
            if !group.labels.isEmpty { output += ", one for each \(group.labels.joined(separator: ", "))" }
            output += "\n\n| name | kind | unit | meaning |\n|---|---|---|---|\n"
            for row in group.definitions {
                // Members of documents are snake_case there; names that are values stay as they are.
                let name = group.hasMembers ? JSONDocument.snakeCase(row.name) : row.name
                output += "| `\(name)` | \(row.kind.rawValue) | \(row.unit.rawValue) | \(row.help) |\n"
            }
        }
        return output
    }
}

/// The figures of one worker thread, in the order of `WorkerCounter`.
enum WorkerMetrics {
    static let all: [Metric<WorkerStatistics>] = [
        row(.rounds, .rounds, "Rounds over all queues"),
        row(.busyRounds, .rounds, "Rounds that found at least one packet"),
        row(.busyCycles, .cycles, "Time-stamp counter cycles in busy rounds"),
        row(.batches, .batches, "Batches taken from receive rings"),
        row(.received, .packets, "Packets taken from receive rings"),
        row(.transmitted, .packets, "Packets put into transmit rings"),
        row(.protected, .packets, "Packets encrypted"),
        row(.opened, .packets, "Packets decrypted and accepted"),
        row(.bypassed, .packets, "Packets forwarded without protection by a policy"),
        row(.handedOver, .packets, "Packets handed to another worker"),
        row(.takenOver, .packets, "Packets taken over from another worker"),
        row(.toHost, .packets, "Packets for the host itself"),
        row(.fromHost, .packets, "Packets of the host into tunnels"),
        row(.reassembled, .packets, "ESP packets that came in fragments, reassembled by the kernel"),
        row(.icmpErrors, .packets, "ICMP errors sent"),
        row(.icmpErrorsWithheld, .packets, "ICMP errors not sent for want of an address to send them from"),
        row(.fragments, .packets, "Fragments made, before encryption or for a LAN"),
        row(.fragmented, .packets, "Packets split into fragments"),
        row(.sleeps, .times, "Sleeps of the worker"),
        row(.kicks, .calls, "System calls that asked the kernel to send"),
        row(.receiveWakeUps, .calls, "System calls that asked a driver to look at its fill ring"),
        row(.flowMisses, .packets, "Flow cache misses"),
        row(.freeFrames, .frames, kind: .gauge, "Free frames of the pool at the end of the last round"),
        row(
            .waiting, .packets, kind: .gauge, "Packets that wait for a neighbour or an SA at the end of the last round"),
    ]

    private static func row(
        _ counter: WorkerCounter, _ unit: MetricDefinition.Unit, kind: MetricDefinition.Kind = .counter,
        _ help: String
    ) -> Metric<WorkerStatistics> {
        Metric(counter.name, unit, kind: kind, help) { $0[counter] }
    }
}

/// The kernel's figures of one AF_XDP socket (`XDP_STATISTICS`).
enum QueueMetrics {
    static let all: [Metric<SocketStatistics>] = [
        Metric(
            "receiveDropped", \.receiveDropped, .packets, "Received packets dropped for other reasons than a full ring"),
        Metric("receiveInvalidDescriptors", \.invalidFill, .count, "Invalid addresses in the fill ring"),
        Metric("transmitInvalidDescriptors", \.invalidTransmit, .count, "Invalid descriptors in the transmit ring"),
        Metric(
            "receiveRingFull", \.receiveRingFull, .packets, "Received packets dropped because the receive ring was full"
        ),
        Metric("fillRingEmpty", \.fillRingEmpty, .packets, "Received packets dropped because the fill ring was empty"),
        Metric("transmitRingEmpty", \.transmitRingEmpty, .times, "Times that the kernel found the transmit ring empty"),
    ]

    /// The columns of the text, with their titles.
    static let columns = [
        ("rx dropped", "receiveDropped"), ("rx ring full", "receiveRingFull"), ("fill empty", "fillRingEmpty"),
        ("tx empty", "transmitRingEmpty"), ("rx invalid", "receiveInvalidDescriptors"),
        ("tx invalid", "transmitInvalidDescriptors"),
    ]
}

/// The decisions of the steering program of one port, over all CPUs.
enum SteeringMetrics {
    static let all: [MetricDefinition] = SteeringVerdict.allCases.map { verdict in
        MetricDefinition(verdict.name, .packets, help(verdict))
    }

    private static func help(_ verdict: SteeringVerdict) -> String {
        switch verdict {
        case .socketESP: "ESP for the gateway, to a worker"
        case .socketAH: "AH for the gateway, to a worker"
        case .socketUDPESP: "ESP in UDP for the gateway, to a worker"
        case .socketProtected: "From the LAN, to be protected or discarded, to a worker"
        case .dropNoSocket: "Dropped: for a worker, but the queue has no socket"
        case .dropClearInbound: "Dropped: in clear from the WAN, though its way back is protected"
        case .dropStranger: "Dropped: from the WAN, and would be protected if it came from the LAN"
        case .dropClosed: "Dropped: the rules are incomplete, and a missing one may be about it"
        case .passForeign: "For another station's MAC address or an unknown VLAN, to the host"
        case .passNotIP: "ARP, LLDP and the like, to the host"
        case .passGroup: "Broadcast, multicast or link-local destination, to the host"
        case .passLocal: "For the gateway itself and not for IPsec, to the host"
        case .passIKE: "IKE, to the host"
        case .passKeepalive: "NAT keepalives, to the host"
        case .passOuterFragment: "Fragments of ESP, AH or UDP for the gateway, to the host for reassembly"
        case .passExtensionHeaders: "More IPv6 extension headers than are walked, to the host"
        case .passNotLocal: "On a WAN port for somebody else, to the host"
        case .passBypass: "From the LAN, and a rule lets it pass, to the host"
        case .passInside: "From the LAN to a network behind a LAN port, to the host"
        case .passUnprotected: "From the LAN, and no rule is about it, to the host"
        case .passMalformed: "Headers cut short or contradictory, to the host"
        }
    }
}

/// Dropped packets, by reason.
enum DropMetrics {
    static let all: [MetricDefinition] = DropReason.allCases.map { reason in
        MetricDefinition(
            reason.name, .packets, reason.meaning.last == "." ? String(reason.meaning.dropLast()) : reason.meaning)
    }
}

/// The figures of the process and its memory.
enum GatewayMetrics {
    static let all: [Metric<StatusReport>] = [
        Metric("uptimeSeconds", \.gateway.uptimeSeconds, .seconds, kind: .gauge, "Age of the process"),
        Metric("residentBytes", \.gateway.residentBytes, .bytes, kind: .gauge, "Resident memory of the process"),
        Metric(
            "snapshotGeneration", \.gateway.snapshotGeneration, .count,
            "Published snapshots of policies, SAs, routes and neighbours"),
        Metric("count", \.frames.count, .frames, kind: .gauge, "Frames of the packet memory"),
    ]
}

/// The figures of one SA.
enum AssociationMetrics {
    static let all: [Metric<AssociationStatus>] = [
        Metric("packets", \.packets, .packets, "Packets protected or accepted"),
        Metric("bytes", \.bytes, .bytes, "Bytes of these packets"),
        Metric("sequence", \.sequence, .count, kind: .gauge, "Last sequence number sent, or highest received"),
        Metric("missingInWindow", .packets, kind: .gauge, "Packets of the replay window that have not arrived") {
            UInt64(clamping: $0.missingInWindow ?? 0)
        },
        Metric("ageSeconds", \.ageSeconds, .seconds, kind: .gauge, "Age of the SA"),
        Metric("idleSeconds", .seconds, kind: .gauge, "Time since the last packet") {
            UInt64(clamping: $0.idleSeconds ?? 0)
        },
        Metric("drops", .packets, "Packets dropped for all reasons") { $0.drops.reduce(0) { $0 &+ $1.packets } },
    ]
}

/// The figures of one policy.
enum PolicyMetrics {
    static let all: [Metric<PolicyStatus>] = [
        Metric("packets", \.packets, .packets, "Packets that the policy decided about without an SA"),
        Metric("bytes", \.bytes, .bytes, "Bytes of these packets"),
    ]
}

/// Packets that the kernel's guard held back.
enum BoundaryMetrics {
    static let all: [Metric<BoundaryReport>] = [
        Metric("heldBackOutbound", \.heldBackOutbound, .packets, "Packets held back that would have left in clear"),
        Metric("heldBackInbound", \.heldBackInbound, .packets, "Packets held back that came by a WAN port in clear"),
        Metric(
            "heldBackForeign", \.heldBackForeign, .packets,
            "Packets held back that came by a WAN port for a tunnel of ours"),
    ]
}

/// The figures of IKE, in the order of status documents.
enum NegotiationMetrics {
    static let all: [Metric<ManagerCounters>] = [
        Metric("sessions", \.sessions, .count, kind: .gauge, "IKE SAs now"),
        Metric("half-open", \.halfOpen, .count, kind: .gauge, "IKE SAs now that peers negotiate"),
        Metric("initiated", \.initiated, .count, "Negotiations that we began"),
        Metric("responded", \.responded, .count, "Negotiations of peers that got past the limits"),
        Metric("established", \.established, .count, "IKE SAs established"),
        Metric("failed", \.failed, .count, "Negotiations that failed"),
        Metric("peers-dead", \.peersDead, .count, "Peers that stopped answering"),
        Metric("children-up", \.childrenUp, .count, "CHILD_SAs installed"),
        Metric("children-rekeyed", \.childrenRekeyed, .count, "CHILD_SAs rekeyed"),
        Metric("installations-failed", \.installationsFailed, .count, "CHILD_SAs that could not be installed"),
        Metric("received", \.received, .datagrams, "IKE datagrams received"),
        Metric("sent", \.sent, .datagrams, "IKE datagrams sent, without keepalives"),
        Metric("keepalives-sent", \.keepalivesSent, .datagrams, "NAT keepalives sent"),
        Metric("malformed", \.malformed, .datagrams, "Datagrams that are not IKE messages"),
        Metric("wrong-version", \.wrongVersion, .messages, "Messages of another major version (RFC 7296 section 2.5)"),
        Metric("unknown-spi", \.unknownSPI, .messages, "Messages for unknown IKE SAs (RFC 7296 section 2.21.4)"),
        Metric(
            "peers-doubted", \.peersDoubted, .count, "Liveness checks after an unprotected notice or silence of packets"
        ),
        Metric("peers-called", \.peersCalled, .count, "Negotiations because a peer uses SAs that we do not have"),
        Metric("unprotected-errors-sent", \.unprotectedErrorsSent, .messages, "Unprotected error responses"),
        Metric(
            "unprotected-errors-suppressed", \.unprotectedErrorsSuppressed, .messages,
            "Unprotected error responses that the limit has suppressed"),
        Metric(
            "without-connection", \.withoutConnection, .messages,
            "IKE_SA_INIT requests from addresses without a connection"),
        Metric("cookies-sent", \.cookiesSent, .messages, "IKE_SA_INIT requests answered with a cookie"),
        Metric("cookies-accepted", \.cookiesAccepted, .messages, "IKE_SA_INIT requests with a right cookie"),
        Metric(
            "cookies-rejected", \.cookiesRejected, .messages, "IKE_SA_INIT requests with a wrong or outdated cookie"),
        Metric("refused-half-open", \.refusedHalfOpen, .messages, "Refusals by --maximum-half-open"),
        Metric(
            "refused-half-open-per-address", \.refusedHalfOpenPerAddress, .messages,
            "Refusals by the limit of one address or network"),
        Metric(
            "refused-for-time", \.refusedForTime, .messages, "Refusals of strangers for their share of the processor"),
        Metric("answers-held-back", \.answersHeldBack, .messages, "Answers to strangers on our own link held back"),
        Metric("refused-sessions", \.refusedSessions, .messages, "Refusals by the limit of IKE SAs"),
        Metric("half-open-timeouts", \.halfOpenTimeouts, .count, "Negotiations of peers given up for their age"),
        Metric("acquires-suppressed", \.acquiresSuppressed, .count, "Packets' wishes for an SA that has to wait"),
        Metric(
            "fragmented-messages-refused", \.fragmentedMessagesRefused, .messages,
            "Fragmented messages of too many bytes or pieces"),
    ]

    /// The figures of the IKE sockets. `others` are their view of what the manager counts.
    static let sockets: (listed: [Metric<IKEDatagramCounters>], others: [Metric<IKEDatagramCounters>]) = (
        [
            Metric("keepalives-received", \.keepalivesReceived, .datagrams, "NAT keepalives received"),
            Metric("esp-in-ike-socket", \.espReceived, .datagrams, "ESP in UDP that the kernel gave to IKE"),
            Metric("malformed-datagrams", \.malformed, .datagrams, "Datagrams too short, or to an unknown address"),
            Metric("send-failures", \.sendFailures, .datagrams, "Datagrams that the kernel refused to send"),
        ],
        [
            Metric("datagrams-received", \.received, .datagrams, "Datagrams read"),
            Metric("datagrams-sent", \.sent, .datagrams, "Datagrams written"),
            Metric("keepalives-written", \.keepalivesSent, .datagrams, "NAT keepalives written"),
        ]
    )
}
