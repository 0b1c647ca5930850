import Dataplane
import Telemetry
import XDP

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

/// What the steering program of one port decided, over all CPUs.
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
