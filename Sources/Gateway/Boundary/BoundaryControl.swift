import Configuration
import IKEv2
import Logging
import Netlink
import Packets
import XDP

/// The boundary without a gateway: what `sluice guard`, `sluice detach` and `sluice status` do when none runs.
package enum BoundaryControl {
    /// Options that say whose traffic is to be closed, and between which interfaces.
    package struct Request: Sendable {
        /// A swanctl.conf.
        package var configuration: String?
        /// `ip xfrm` lines.
        package var xfrmBatch: String?
        package var lan: [String]
        package var wan: [String]

        package init(configuration: String?, xfrmBatch: String?, lan: [String] = [], wan: [String] = []) {
            self.configuration = configuration
            self.xfrmBatch = xfrmBatch
            self.lan = lan
            self.wan = wan
        }
    }

    /// Closes the boundary for what the files configure, in the place of what was closed before; keys are read and forgotten.
    /// Parts with errors are closed too, as far as they can be read.
    package static func close(
        _ request: Request
    ) throws(GatewayError) -> (report: BoundaryReport, errors: [Problem]) {
        let (covered, errors) = try covered(request)
        try Privileges.check([.netAdmin])
        try environment { () throws(NetlinkError) in
            var guardian = try KernelGuard()
            try guardian.close(.init(covered, lan: request.lan, wan: request.wan))
        }
        return (BoundaryReport(covered), errors)
    }

    /// The configuration of the files, and the part of it that no gateway would serve.
    private static func covered(
        _ request: Request
    ) throws(GatewayError) -> (covered: CoveredList, errors: [Problem]) {
        // A guard negotiates nothing, so that no proposal is too weak for it.
        let connections = try request.configuration.map { path throws(GatewayError) in
            try ConfigurationFile.loadConnections(path, rules: ProposalRules(allowsWeakGroups: true))
        }
        let manual = try request.xfrmBatch.map { path throws(GatewayError) in
            try ConfigurationFile.load(path, replayWindow: 0)
        }
        let errors = (connections?.errors ?? []) + (manual?.errors ?? [])
        return (CoveredList(manual ?? ManualConfiguration(), connections?.connections ?? []), errors)
    }

    /// Opens the boundary on purpose: steering programs that ended gateways have left, and the kernel's table. Returns what was
    /// closed; nil when nothing was.
    package static func open() throws(GatewayError) -> BoundaryReport? {
        try Privileges.check([.netAdmin])
        let names = try Startup.environment { () throws(XDPError) in try SteeringProgram.detachAll() }
        let report = try environment { () throws(NetlinkError) in
            // Rules of a gateway that was killed lead nowhere any more.
            HostRouteKeeper.removeAll(try NetlinkSession())
            var guardian = try KernelGuard()
            return try guardian.open()
        }
        guard report != nil || !names.isEmpty else { return nil }
        var opened = BoundaryReport(report ?? .init())
        opened.ports = names
        return opened
    }

    /// The boundary that the kernel holds closed, whoever closed it; nil: none.
    package static func report() throws(GatewayError) -> BoundaryReport? {
        try environment { () throws(NetlinkError) in try KernelGuard().report() }.map { BoundaryReport($0) }
    }

    /// An error of the kernel's with its remedy: nftables may be missing.
    static func environment<Value>(_ body: () throws(NetlinkError) -> Value) throws(GatewayError) -> Value {
        do throws(NetlinkError) {
            return try body()
        } catch {
            let isMissing = [.protocolNotSupported, .addressFamilyNotSupported, .invalidArgument].contains(error.errno)
            throw GatewayError(
                .environment, "the kernel does not hold the boundary: \(error)",
                remedy: isMissing ? "load nftables: modprobe nf_tables" : "see what nft list ruleset says")
        }
    }
}
