import Foundation

/// strongSwan (Debian's charon-systemd, without systemd) in a namespace, with ESP done by the daemon itself.
public final class StrongSwan: IKEDaemon {
    public let label: String
    public let folder: SwanctlFolder
    public private(set) var process: RunningProcess
    private let namespace: NetworkNamespace
    private let settings: StrongSwanSettings
    private let settingsFile: String

    /// Starts the daemon as a router in `namespace` and loads the folder.
    public init(_ folder: SwanctlFolder, in namespace: NetworkNamespace) throws {
        label = "strongSwan in \(namespace.name)"
        self.folder = folder
        self.namespace = namespace
        let log = TestRun.current.logDirectory.appending(path: "\(namespace.name)-charon.log").path
        settings = StrongSwanSettings(
            .userSpace, socket: TestRun.current.scratchPath("\(namespace.name).vici"), log: log)
        settingsFile = try TestRun.current.scratchFile("strongswan.conf", settings.text)
        try namespace.sysctl(
            "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0")
        process = try Self.launch(namespace, settingsFile, folder)
        try awaitStart()
    }

    deinit { process.kill() }

    public var log: String { (try? String(contentsOfFile: settings.log, encoding: .utf8)) ?? "" }

    /// Where it answers `swanctl`.
    public var controlSocket: String { settings.socket }

    /// Whether the process still runs.
    public var isAlive: Bool { process.poll() == nil }

    public func swanctl(_ arguments: [String], within limit: Duration) throws -> CommandResult {
        try attempt(
            ["swanctl"] + arguments + ["--uri", "unix://\(settings.socket)"],
            environment: Self.variables(settingsFile, folder),
            timeout: limit)
    }

    public func start() throws {
        try? FileManager.default.removeItem(atPath: settings.socket)
        process = try Self.launch(namespace, settingsFile, folder)
        try awaitStart()
    }

    public func stop() { process.terminate() }

    public func kill() { process.kill() }

    private func awaitStart() throws {
        do {
            try eventually("control socket of \(label)", within: .seconds(60)) {
                if let end = process.poll() { throw NeverHappened(description: "\(label) ended: \(end)") }
                return try swanctl(["--version"], within: .seconds(20)).status == 0
                    && access(settings.socket, F_OK) == 0
            }
            try control("--load-all")
        } catch {
            process.kill()
            throw NeverHappened(description: "\(error)\n\(process.outputForHumans)\n\(log)")
        }
    }

    private static func variables(_ settingsFile: String, _ folder: SwanctlFolder) -> [String: String] {
        ["STRONGSWAN_CONF": settingsFile, "SWANCTL_DIR": folder.path]
    }

    private static func launch(_ namespace: NetworkNamespace, _ settingsFile: String, _ folder: SwanctlFolder) throws
        -> RunningProcess
    {
        try RunningProcess(
            ["charon-systemd"], in: namespace, environment: variables(settingsFile, folder),
            name: "charon-\(namespace.name)")
    }
}
