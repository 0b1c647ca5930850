import Configuration
import Glibc

/// Reads the files of `ip xfrm` lines and swanctl.conf as `run` and `check` both do.
public enum ConfigurationFile {
    /// The SAs and policies of the file; every problem in it is in the error, a line each.
    public static func load(_ path: String, replayWindow: Int) throws(GatewayError) -> ManualConfiguration {
        do throws(ConfigurationErrors) {
            return try XfrmBatch.load(path: path, defaultReplayWindow: replayWindow)
        } catch {
            throw GatewayError(error)
        }
    }

    /// The connections, keys and certificates of a swanctl.conf and the folders beside it; every problem is in the error,
    /// a line each.
    public static func loadConnections(_ path: String) throws(GatewayError) -> SwanctlConfiguration {
        do throws(ConfigurationErrors) {
            return try SwanctlConfiguration.load(path: path)
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
