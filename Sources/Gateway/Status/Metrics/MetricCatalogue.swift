import ControlPlane
import Telemetry

/// Every figure that a gateway has of itself. Status documents, their text and VICI's answers read figures by these rows; a new
/// one is a row beside what counts it.
public enum MetricCatalogue {
    public static let groups: [MetricGroup] = [
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
        MetricGroup("exchange", labels: ["connection"], place: "get-counters", ExchangeCounters.definitions),
    ]

    /// All of it as Markdown, one table for each group.
    public static var markdown: String {
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
