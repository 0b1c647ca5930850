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
    /// What is to be closed, and is not yet.
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

    /// To be called whenever something else is covered than before.
    mutating func update(_ covered: CoveredList) {
        wanted = covered
        incomplete = covered.incomplete
        if secondsOfPatience > 0 { secondsOfPatience = Self.patience } else { close() }
    }

    /// To be called once a second.
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
            "the kernel does not hold the whole boundary: packets of this host and of interfaces that are no ports may leave in clear; tried again every second",
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
