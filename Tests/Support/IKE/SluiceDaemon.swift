/// Sluice as an IKEv2 daemon that a test can end and start again.
public final class SluiceDaemon: IKEDaemon {
    public let folder: SwanctlFolder
    public private(set) var gateway: SluiceGateway
    private let namespace: NetworkNamespace
    private let options: GatewayOptions
    /// The log of gateways that have ended.
    private var past = ""

    /// Starts a gateway in a namespace that has a `lan0` and a `wan0`. A silent peer is given up after some 13 seconds.
    ///
    /// - `startsEmpty`: the folder is left to `swanctl --load-all`.
    public init(
        _ folder: SwanctlFolder, in namespace: NetworkNamespace, startsEmpty: Bool = false, extra: [String] = []
    ) throws {
        self.folder = folder
        self.namespace = namespace
        let patience = ["--retransmit-timeout", "1", "--retransmit-base", "1.5", "--retransmit-tries", "4"]
        // A busy machine may not run a worker for a while: rings that hold two seconds of load lose nothing of it.
        options = GatewayOptions(extra: patience + ["--ring-size", "4096"] + extra)
        gateway =
            try startsEmpty
            ? SluiceGateway(emptyIn: namespace, options) : SluiceGateway(folder, in: namespace, options)
    }

    public var label: String { "Sluice in \(namespace.name)" }

    public var log: String { past + gateway.process.output + gateway.process.errors }

    public func swanctl(_ arguments: [String], within limit: Duration) throws -> CommandResult {
        try attempt(
            ["swanctl"] + arguments + ["--uri", "unix://\(gateway.controlSocket)"],
            environment: ["SWANCTL_DIR": folder.path], timeout: limit)
    }

    /// Runs one of Sluice's own clients of the control socket, e.g. `initiate --child net`.
    public func sluice(_ arguments: String..., within limit: Duration = .seconds(120)) throws -> CommandResult {
        try gateway.client(arguments, within: limit)
    }

    public func stop() { gateway.process.terminate() }

    public func kill() { gateway.process.kill() }

    public func start() throws {
        past = log
        gateway = try SluiceGateway(folder, in: namespace, options)
    }
}
