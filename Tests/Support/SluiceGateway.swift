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

    /// Starts the gateway and waits for its `ready` line.
    public init(_ batch: String, in namespace: NetworkNamespace, _ options: GatewayOptions = GatewayOptions()) throws {
        self.namespace = namespace
        controlSocket = TestRun.current.scratchPath("\(namespace.name).sock")
        let file = try TestRun.current.scratchFile("\(namespace.name).xfrm", batch)
        process = try RunningProcess(
            [
                Self.binary, "run", "--xfrm-batch", file, "--lan", "lan0", "--wan", "wan0", "--control", controlSocket,
                "--workers", "\(options.workers)", "--xdp-mode", options.mode,
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
                let status = (try? gateway.status().description) ?? "no status"
                return "=== \(gateway.namespace.name)\n\(gateway.process.outputForHumans)\n--- status\n\(status)"
            }
            throw NeverHappened(description: "\(error)\n" + state.joined(separator: "\n"))
        }
    }

    /// Whether the process still runs.
    public var isAlive: Bool { process.poll() == nil }
}
