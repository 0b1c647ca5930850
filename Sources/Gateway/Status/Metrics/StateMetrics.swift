import Telemetry

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
