import Logging
import UnixSignals

/// SIGHUP reads the configuration again. A file that cannot be parsed changes nothing; what a fault costs in one that can, says
/// `SwanctlConfiguration`.
struct ConfigurationReload: Sendable {
    let options: GatewayOptions
    /// The part that negotiates; nil: nothing is negotiated.
    let ike: IKEThread?
    let logger: Logger

    /// Handles signals until the task is cancelled.
    func run() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) { reload() }
    }

    func reload() {
        guard let path = options.configuration, let ike else {
            logger.warning("nothing to reload: there is no --config; `swanctl --load-all` loads connections")
            return
        }
        do {
            let configuration = try LoadedConfiguration.connections(
                path, rules: options.proposalRules, logger: logger)
            try ike.load(configuration)
            logger.notice(
                configuration.errors.isEmpty
                    ? "configuration reloaded" : "configuration reloaded as far as it can be served",
                metadata: ["file": "\(path)", "connections": "\(configuration.connections.count)"])
        } catch {
            ike.keep(for: error, file: path)
            let problems = "\(error)".split(separator: "\n").map { Logger.MetadataValue.string(String($0)) }
            logger.error(
                "configuration not reloaded; the old one stays in force", metadata: ["errors": .array(problems)])
        }
    }
}
