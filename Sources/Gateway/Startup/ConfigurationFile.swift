import Configuration
import Glibc
import IKEv2

/// Reads the files of `ip xfrm` lines and swanctl.conf as `run` and `check` both do.
public enum ConfigurationFile {
    /// The SAs and policies of the file, and what of it is not served. Throws when it cannot be read.
    public static func load(_ path: String, replayWindow: Int) throws(GatewayError) -> ManualConfiguration {
        do throws(ConfigurationErrors) {
            return try XfrmBatch.load(path: path, defaultReplayWindow: replayWindow)
        } catch {
            throw GatewayError(error)
        }
    }

    /// The connections, keys and certificates of a swanctl.conf and the folders beside it, and what of them is not served.
    /// Throws when the text cannot be parsed.
    public static func loadConnections(
        _ path: String, rules: ProposalRules = ProposalRules()
    ) throws(GatewayError) -> SwanctlConfiguration {
        do throws(ConfigurationErrors) {
            return try SwanctlConfiguration.load(path: path, rules: rules)
        } catch {
            throw GatewayError(error)
        }
    }

    /// What to say about who may read the file; nil when only its owner may.
    public static func permissionWarning(_ path: String) -> ConfigurationWarning? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 else {
            return nil
        }
        return ConfigurationWarning(
            location: SourceLocation(file: path, line: 0), word: nil, reason: "holds keys and others may read it",
            remedy: "chmod 600 \(path)")
    }
}
