import IKEv2
import Telemetry

/// The figures of one CHILD_SA, by strongSwan's names and in its order.
package enum ChildMetrics {
    package static let inbound: [Metric<ChildUsage>] = [
        Metric("bytes-in", \.inboundBytes, .bytes, "Bytes of inner packets accepted"),
        Metric("packets-in", \.inboundPackets, .packets, "Packets accepted"),
    ]

    package static let outbound: [Metric<ChildUsage>] = [
        Metric("bytes-out", \.outboundBytes, .bytes, "Bytes of inner packets protected"),
        Metric("packets-out", \.outboundPackets, .packets, "Packets protected"),
    ]

    package static let all = inbound + outbound
}
