import ArgumentParser
import Configuration
import Gateway

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate a configuration, and say what it would do.",
        discussion: """
            Reads the file as `sluice run` does, without root and without touching the network. A line that cannot be \
            served is an error with its number, the word and what to do; the exit code is then 78. Keys are never shown.

              sluice check --xfrm-batch tunnel.xfrm
            """)

    @Option(
        help: ArgumentHelp(
            "Read SAs and policies from `ip xfrm` lines, as `ip -batch` takes them.", valueName: "file"))
    var xfrmBatch: String

    @Option(help: ArgumentHelp("Replay window of SAs that name none.", valueName: "packets"))
    var replayWindow = 1024

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard replayWindow == 0 || (32...65_536).contains(replayWindow) else {
            throw ValidationError(
                "--replay-window \(replayWindow): out of range; give 32 to 65536 packets, or 0 for no replay protection"
            )
        }
    }

    func run() throws {
        do throws(GatewayError) {
            let configuration = try ConfigurationFile.load(xfrmBatch, replayWindow: replayWindow)
            if let warning = ConfigurationFile.permissionWarning(xfrmBatch) {
                writeToStandardError("sluice: warning: \(warning)\n")
            }
            writeToStandardOutput(json ? try document(configuration) : "\(configuration)\n")
        } catch {
            throw Failure(gateway: error)
        }
    }

    private func document(_ configuration: ManualConfiguration) throws(GatewayError) -> String {
        do {
            return try JSONDocument.text(CheckDocument(configuration))
        } catch {
            throw GatewayError(.failure, "\(error)", remedy: "")
        }
    }
}
