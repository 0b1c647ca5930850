/// What the kernel holds closed, for `sluice status`, `check`, `guard` and `detach`.
public struct BoundaryReport: Codable, Hashable, Sendable {
    /// "site/net: 10.1.0.0/16 -> 10.2.0.0/16": such packets leave through a tunnel or not at all, and are not taken in clear when
    /// they come the other way by a WAN port.
    public var closed: [String]
    /// "site/net": children of the configuration with `dynamic` selectors whose address is not known yet; they are closed only as
    /// far as their selectors are known.
    public var incomplete: [String]
    /// Interfaces from which `detach` has taken the steering program of an ended gateway.
    public var ports: [String] = []
    /// Packets that the kernel held back because they would have left in clear.
    public var heldBackOutbound: UInt64
    /// Packets that came by a WAN port in clear and should have been protected.
    public var heldBackInbound: UInt64
    /// Packets that came by a WAN port and would have gone into a tunnel of ours.
    public var heldBackForeign: UInt64

    init(_ report: KernelGuard.Report = .init(), incomplete: [String] = []) {
        closed = report.closed
        self.incomplete = incomplete
        heldBackOutbound = report.counts.outbound
        heldBackInbound = report.counts.inbound
        heldBackForeign = report.counts.foreign
    }

    /// What a configuration would close.
    public init(_ covered: CoveredList) {
        self.init(
            .init(closed: covered.traffic.filter { $0.action != .bypass }.map(\.closedText)),
            incomplete: covered.incomplete)
    }

    /// A line for each, for people.
    public func text(_ title: String) -> String {
        var lines = ["\(title): \(closed.isEmpty ? "nothing" : "")"] + closed.map { "  \($0)" }
        if !incomplete.isEmpty {
            lines.append(
                "  not yet, as an address is not known: \(incomplete.joined(separator: ", ")); write remote_addrs, local_addrs or the selectors in full"
            )
        }
        if !ports.isEmpty { lines.append("  steering program detached from \(ports.joined(separator: ", "))") }
        let held = [
            ("would have left in clear", heldBackOutbound), ("came in clear", heldBackInbound),
            ("came for a tunnel by a WAN port", heldBackForeign),
        ].filter { $0.1 > 0 }
        if !held.isEmpty {
            lines.append(
                "  held back by the kernel: " + held.map { "\(HumanText.count($0.1)) \($0.0)" }.joined(separator: ", "))
        }
        lines[0] = lines[0].trimmingSuffixBlank
        return lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    fileprivate var trimmingSuffixBlank: String { hasSuffix(" ") ? String(dropLast()) : self }
}
