import Logging
import Netlink

/// Keeps the kernel's half of the boundary in step with what a running gateway covers. Belongs to the control thread.
///
/// It closes before anything else happens at the start, stays closed when the process ends, and is put back within a second when
/// somebody removes it (`nft flush ruleset`).
struct BoundaryKeeper {
    private var kernelGuard: KernelGuard
    private let lan: [String]
    private let wan: [String]
    private let logger: Logger
    /// The boundary that is to be closed, and is not yet.
    private var wanted: CoveredList?
    /// A table of a predecessor whose connections have not been loaded yet: exchanged when nothing has been loaded for so many
    /// seconds, as they come one by one over the control socket.
    private var secondsOfPatience = 0
    private var hasFailed = false
    private(set) var incomplete: [String]

    private static let patience = 3

    /// Closes the boundary for what was configured. When there is no configuration and the kernel holds something closed, it stays
    /// closed until connections come.
    init(_ options: GatewayOptions, covered: CoveredList, logger: Logger) throws(GatewayError) {
        lan = options.lan
        wan = options.wan
        incomplete = covered.incomplete
        self.logger = logger
        let isEmptyStart = options.configuration == nil && options.xfrmBatch == nil
        let (lan, wan) = (options.lan, options.wan)
        let (closed, inherits) = try BoundaryControl.environment { () throws(NetlinkError) in
            var closed = try KernelGuard()
            if isEmptyStart, let report = try closed.report(), !report.closed.isEmpty { return (closed, true) }
            try closed.close(.init(covered, lan: lan, wan: wan))
            return (closed, false)
        }
        kernelGuard = closed
        logger.info(
            "boundary is closed to packets in clear, and stays so when the gateway ends",
            metadata: ["selectors": "\(covered.traffic.count)"])
        if inherits {
            secondsOfPatience = Self.patience
            logger.notice("what an earlier gateway closed stays closed until connections are loaded")
        }
    }

    /// Follows another list of covered traffic.
    mutating func update(_ covered: CoveredList) {
        wanted = covered
        incomplete = covered.incomplete
        if secondsOfPatience > 0 { secondsOfPatience = Self.patience } else { close() }
    }

    /// Does what is due each second.
    mutating func secondPassed() {
        if secondsOfPatience > 0, wanted != nil { secondsOfPatience -= 1 }
        if secondsOfPatience == 0, wanted != nil { close() }
        do throws(NetlinkError) {
            guard try kernelGuard.restoreIfGone() else { return }
            logger.warning(
                "somebody removed the nftables table 'inet sluice' and thereby opened the boundary; it is closed again",
                metadata: [
                    "remedy": "end the gateway with `sluice detach` when it is to be open; do not flush the ruleset"
                ])
        } catch {
            complain(error)
        }
    }

    private mutating func close() {
        guard let wanted else { return }
        do throws(NetlinkError) {
            try kernelGuard.close(.init(wanted, lan: lan, wan: wan))
            self.wanted = nil
            hasFailed = false
        } catch {
            complain(error)
        }
    }

    /// Once for each series of failures: it is tried again every second.
    private mutating func complain(_ error: NetlinkError) {
        defer { hasFailed = true }
        guard !hasFailed else { return }
        logger.error(
            "the kernel does not hold the whole boundary: packets of this host and of interfaces that are not ports may leave in clear; tried again every second",
            metadata: ["error": "\(error)"])
    }

    func report() -> BoundaryReport? {
        guard let report = try? kernelGuard.report() else { return nil }
        return BoundaryReport(report, incomplete: incomplete)
    }

    /// At the end of the gateway: the boundary stays closed unless it was asked otherwise.
    mutating func stop(opening: Bool) {
        guard opening else {
            logger.notice("the boundary stays closed; `sluice detach` opens it")
            return
        }
        do throws(NetlinkError) {
            let report = try kernelGuard.open()
            logger.notice("the boundary is open", metadata: ["open": "\(report?.closed.joined(separator: ", ") ?? "")"])
        } catch {
            logger.error("the boundary was not opened", metadata: ["error": "\(error)"])
        }
    }
}

/// A report on what the kernel holds closed, for `sluice status`, `check`, `guard` and `detach`.
package struct BoundaryReport: Codable, Hashable, Sendable {
    /// "site/net: 10.1.0.0/16 -> 10.2.0.0/16": such packets leave through a tunnel or not at all, and are not taken in clear when
    /// they come the other way by a WAN port.
    package var closed: [String]
    /// "site/net": children of the configuration with `dynamic` selectors whose address is not known yet; they are closed only as
    /// far as their selectors are known.
    package var incomplete: [String]
    /// Interfaces from which `detach` has taken the steering program of an ended gateway.
    package var ports: [String] = []
    /// Packets that the kernel held back because they would have left in clear.
    package var heldBackOutbound: UInt64
    /// Packets that came by a WAN port in clear and should have been protected.
    package var heldBackInbound: UInt64
    /// Packets that came by a WAN port and would have gone into a tunnel of ours.
    package var heldBackForeign: UInt64

    init(_ report: KernelGuard.Report = .init(), incomplete: [String] = []) {
        closed = report.closed
        self.incomplete = incomplete
        heldBackOutbound = report.counts.outbound
        heldBackInbound = report.counts.inbound
        heldBackForeign = report.counts.foreign
    }

    /// The boundary that a configuration would close.
    package init(_ covered: CoveredList) {
        self.init(
            .init(closed: covered.traffic.filter { $0.action != .bypass }.map(\.closedText)),
            incomplete: covered.incomplete)
    }

    /// A line for each, for people.
    package func text(_ title: String) -> String {
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
