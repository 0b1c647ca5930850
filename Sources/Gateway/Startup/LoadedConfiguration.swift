import Configuration
import Logging

/// What the files that the options name come to, keys included.
struct LoadedConfiguration {
    /// Written by hand; empty when SAs are negotiated.
    var manual = ManualConfiguration()
    /// nil: there is no file.
    var connections: SwanctlConfiguration?

    /// Reads them, and logs what is not wise in them.
    init(_ options: GatewayOptions, logger: Logger) throws(GatewayError) {
        if let path = options.xfrmBatch {
            manual = try ConfigurationFile.load(path, replayWindow: options.replayWindow)
            Self.log(manual.warnings, logger)
            if let warning = ConfigurationFile.permissionWarning(path) { logger.warning("\(warning)") }
        }
        if let path = options.configuration {
            connections = try Self.connections(path, logger: logger)
        }
    }

    static func connections(_ path: String, logger: Logger) throws(GatewayError) -> SwanctlConfiguration {
        let configuration = try ConfigurationFile.loadConnections(path)
        log(configuration.warnings, logger)
        return configuration
    }

    /// The first few of them: a file of thousands of lines can have as many.
    private static func log(_ warnings: [ConfigurationWarning], _ logger: Logger) {
        let shown = 10
        for warning in warnings.prefix(shown) { logger.warning("\(warning)") }
        if warnings.count > shown {
            logger.warning("\(warnings.count - shown) more warnings about the configuration; `sluice check` shows all")
        }
    }
}
