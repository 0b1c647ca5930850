import Foundation

/// How to start a gateway.
public struct GatewayOptions: Sendable {
    public var workers = 1
    /// `generic`, `native` or `auto`.
    public var mode = "auto"
    public var extra: [String] = []

    public init(workers: Int = 1, mode: String = "auto", extra: [String] = []) {
        self.workers = workers
        self.mode = mode
        self.extra = extra
    }
}

/// A running `sluice` in a namespace that has a `lan0` and a `wan0`.
public final class SluiceGateway {
    public let namespace: NetworkNamespace
    public let controlSocket: String
    public let process: RunningProcess

    /// The program under test: `SLUICE_BINARY`, else the release build, else the debug build of this package.
    public static let binary: String = {
        if let path = ProcessInfo.processInfo.environment["SLUICE_BINARY"] { return path }
        let package = PythonPeer.packageDirectory
        let candidates = ["release", "debug"].map { package.appending(path: ".build/\($0)/sluice").path }
        return candidates.first { access($0, X_OK) == 0 } ?? candidates[0]
    }()

    /// Starts the gateway with manual keys and waits for its `ready` line.
    public convenience init(
        _ batch: String, in namespace: NetworkNamespace, _ options: GatewayOptions = GatewayOptions()
    ) throws {
        let file = try TestRun.current.scratchFile("\(namespace.name).xfrm", batch)
        try self.init(["--xfrm-batch", file], in: namespace, options)
    }

    /// Starts the gateway with IKEv2 and waits for its `ready` line.
    public convenience init(
        _ folder: SwanctlFolder, in namespace: NetworkNamespace, _ options: GatewayOptions = GatewayOptions()
    ) throws {
        try self.init(["--config", folder.file], in: namespace, options)
    }

    /// Starts the gateway without any configuration, and waits for its `ready` line: `swanctl` brings the connections.
    public convenience init(emptyIn namespace: NetworkNamespace, _ options: GatewayOptions = GatewayOptions()) throws {
        try self.init([], in: namespace, options)
    }

    private init(_ source: [String], in namespace: NetworkNamespace, _ options: GatewayOptions) throws {
        self.namespace = namespace
        controlSocket = TestRun.current.scratchPath("\(namespace.name).sock")
        process = try RunningProcess(
            [Self.binary, "run"] + source + [
                "--lan", "lan0", "--wan", "wan0", "--control", controlSocket, "--workers", "\(options.workers)",
                "--xdp-mode", options.mode,
            ] + options.extra,
            in: namespace, name: "sluice-\(namespace.name)")
        try awaitReady()
    }

    private func awaitReady() throws {
        do {
            try eventually("ready line of \(namespace.name)", within: .seconds(60)) {
                if let end = process.poll() { throw NeverHappened(description: "gateway ended: \(end)") }
                return (process.output + "\n" + process.errors).split(separator: "\n").contains {
                    $0.hasPrefix("ready")
                }
            }
        } catch {
            process.kill()
            throw CommandFailure(arguments: process.arguments, reason: "\(error)", output: process.outputForHumans)
        }
    }

    /// What `sluice status --json` says.
    public func status() throws -> JSON {
        try JSON(run([Self.binary, "status", "--json", "--control", controlSocket], in: namespace))
    }

    /// Runs `body`; when it fails, the error tells what the gateway printed and counted.
    public static func explaining<T>(_ gateways: [SluiceGateway], _ body: () throws -> T) throws -> T {
        do { return try body() } catch {
            let state = gateways.map { gateway in
                "=== \(gateway.namespace.name), \(gateway.isAlive ? "running" : "ended")\n"
                    + gateway.process.outputForHumans + "\n--- status\n\(gateway.statusForHumans)"
            }
            throw NeverHappened(description: "\(error)\n" + state.joined(separator: "\n"))
        }
    }

    /// The table of `sluice status`, kept whole in a log, its end here.
    private var statusForHumans: String {
        guard isAlive else { return "none" }
        let result = try? attempt([Self.binary, "status", "--control", controlSocket], in: namespace)
        guard let text = result?.all else { return "no answer" }
        let log = TestRun.current.logDirectory.appending(path: "\(namespace.name)-status.txt")
        try? text.write(to: log, atomically: true, encoding: .utf8)
        return text
    }

    /// Whether the process still runs.
    public var isAlive: Bool { process.poll() == nil }

    /// Runs one of Sluice's clients of the control socket, e.g. `initiate --child net`.
    public func client(_ arguments: [String], within limit: Duration = .seconds(120)) throws -> CommandResult {
        try attempt([Self.binary] + arguments + ["--control", controlSocket], timeout: limit)
    }
}
