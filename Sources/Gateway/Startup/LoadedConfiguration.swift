import Configuration
import IKEv2
import Logging
import Packets
import Platform

/// The contents of the files that the options name, keys included.
struct LoadedConfiguration {
    /// Written by hand; empty when SAs are negotiated.
    var manual = ManualConfiguration()
    /// The connections of the file; nil: there is no file.
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

    private static func log(_ warnings: [Problem], _ logger: Logger) {
        for warning in warnings.prefix(shown) { logger.warning("\(warning)") }
        if warnings.count > shown {
            logger.warning("\(warnings.count - shown) more warnings about the configuration; `sluice check` shows all")
        }
    }

    private static func log(_ errors: [Problem], refused: [String], _ logger: Logger) {
        guard !errors.isEmpty else { return }
        for error in errors.prefix(shown) { logger.error("\(error)") }
        let more = errors.count > shown ? "; `sluice check` shows \(errors.count - shown) more errors" : ""
        let names = refused.prefix(shown).joined(separator: ", ") + (refused.count > shown ? ", …" : "")
        logger.error("not all of the configuration is served\(more)", metadata: ["refused": "\(names)"])
    }
}

/// Reads the files of `ip xfrm` lines and swanctl.conf as `run` and `check` both do.
package enum ConfigurationFile {
    /// The SAs and policies of the file, and what of it is not served. Throws when it cannot be read.
    package static func load(_ path: String, replayWindow: Int) throws(GatewayError) -> ManualConfiguration {
        do throws(ConfigurationErrors) {
            return try XfrmBatch.load(path: path, defaultReplayWindow: replayWindow)
        } catch {
            throw GatewayError(error)
        }
    }

    /// The connections, keys and certificates of a swanctl.conf and the folders beside it, and what of them is not served.
    /// Throws when the text cannot be parsed.
    package static func loadConnections(
        _ path: String, rules: ProposalRules = ProposalRules()
    ) throws(GatewayError) -> SwanctlConfiguration {
        do throws(ConfigurationErrors) {
            return try SwanctlConfiguration.load(path: path, rules: rules)
        } catch {
            throw GatewayError(error)
        }
    }

    /// A warning about who may read the file; nil when only its owner may.
    package static func permissionWarning(_ path: String) -> Problem? {
        guard let status = try? Files.status(path), status.isExposed else { return nil }
        return Problem(
            .warning, SourceLocation(file: path, line: 0), word: nil, "holds keys and others may read it",
            remedy: "chmod 600 \(path)")
    }
}

/// Reason why a gateway did not start, or had to end: what failed, and what to do about it.
package struct GatewayError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of the reason, which decides the exit code.
    package enum Kind: Sendable {
        /// A configuration file cannot be used.
        case configuration
        /// The machine does not provide what the gateway needs.
        case environment
        /// A call failed that should not.
        case failure
    }

    package let kind: Kind
    /// One problem; of files, all that were found.
    package let problems: [Problem]

    /// An error about faulty files.
    package init(_ errors: ConfigurationErrors) {
        kind = .configuration
        problems = errors.errors
    }

    package init(_ kind: Kind, _ what: String, remedy: String) {
        self.kind = kind
        problems = [Problem(what, remedy: remedy)]
    }

    /// The failure of something below, which says itself what to do.
    /// - Parameter subject: what it is about, where it does not say so.
    package init(_ kind: Kind, _ subject: String? = nil, cause: any Error) {
        self.kind = kind
        var problem = Problem(of: cause)
        if let subject { problem.what = "\(subject): \(problem.what)" }
        problems = [problem]
    }

    /// One problem per line.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
