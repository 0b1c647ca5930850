import Configuration
import IKEv2
import Logging

/// What the files that the options name come to, keys included.
struct LoadedConfiguration {
    /// Written by hand; empty when SAs are negotiated.
    var manual = ManualConfiguration()
    /// nil: there is no file.
    var connections: SwanctlConfiguration?

    /// Reads them, and logs what is not wise in them and what is not served.
    init(_ options: GatewayOptions, logger: Logger) throws(GatewayError) {
        if let path = options.xfrmBatch {
            manual = try ConfigurationFile.load(path, replayWindow: options.replayWindow)
            Self.log(manual.warnings, logger)
            Self.log(manual.errors, refused: manual.errors.map { "line \($0.location.line)" }, logger)
            if let warning = ConfigurationFile.permissionWarning(path) { logger.warning("\(warning)") }
        }
        if let path = options.configuration {
            connections = try Self.connections(path, rules: options.proposalRules, logger: logger)
        }
    }

    static func connections(
        _ path: String, rules: ProposalRules, logger: Logger
    ) throws(GatewayError) -> SwanctlConfiguration {
        let configuration = try ConfigurationFile.loadConnections(path, rules: rules)
        log(configuration.warnings, logger)
        log(configuration.errors, refused: configuration.refused, logger)
        return configuration
    }

    /// So many of each; a file of thousands of lines can have as many.
    private static let shown = 10

    private static func log(_ warnings: [ConfigurationWarning], _ logger: Logger) {
        for warning in warnings.prefix(shown) { logger.warning("\(warning)") }
        if warnings.count > shown {
            logger.warning("\(warnings.count - shown) more warnings about the configuration; `sluice check` shows all")
        }
    }

    private static func log(_ errors: [ConfigurationError], refused: [String], _ logger: Logger) {
        guard !errors.isEmpty else { return }
        for error in errors.prefix(shown) { logger.error("\(error)") }
        let more = errors.count > shown ? "; `sluice check` shows \(errors.count - shown) more errors" : ""
        let names = refused.prefix(shown).joined(separator: ", ") + (refused.count > shown ? ", …" : "")
        logger.error("not all of the configuration is served\(more)", metadata: ["refused": "\(names)"])
    }
}
