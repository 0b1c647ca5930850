import ArgumentParser
import Configuration
import Gateway
import IKEv2
import Packets

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Validate a configuration, and say what it would do.",
        discussion: """
            Reads the files as `sluice run` does, without root and without touching the network. A line that cannot be \
            served is an error with its file, its number, the word and what to do; the exit code is then 78, and the \
            rest is what a gateway would serve all the same. Secrets are never shown.

              sluice check --config /etc/sluice/swanctl.conf
              sluice check --xfrm-batch tunnel.xfrm
            """)

    @Option(
        help: ArgumentHelp(
            "Read connections and credentials from swanctl.conf and the folders beside it, or in SWANCTL_DIR.",
            valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Read SAs and policies from `ip xfrm` lines, as `ip -batch` takes them.", valueName: "file"))
    var xfrmBatch: String?

    @Option(help: ArgumentHelp("Replay window of SAs that name none.", valueName: "packets"))
    var replayWindow = 1024

    @Flag(help: "Let proposals name modp1024 and modp1536, as `sluice run --allow-weak` does.")
    var allowWeak = false

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard config != nil || xfrmBatch != nil else {
            throw ValidationError("nothing to check: give --config FILE for IKE, or --xfrm-batch FILE for manual keys")
        }
        guard replayWindow == 0 || (32...65_536).contains(replayWindow) else {
            throw ValidationError(
                "--replay-window \(replayWindow): out of range; give 32 to 65536 packets, or 0 for no replay protection"
            )
        }
    }

    func run() throws {
        do {
            // Both are read before anything is printed.
            let connections = try config.map { path throws(GatewayError) in
                try ConfigurationFile.loadConnections(path, rules: ProposalRules(allowsWeakGroups: allowWeak))
            }
            let manual = try xfrmBatch.map { path throws(GatewayError) in
                try ConfigurationFile.load(path, replayWindow: replayWindow)
            }
            if let path = xfrmBatch, let warning = ConfigurationFile.permissionWarning(path) {
                writeToStandardError("\(warning)\n")
            }
            writeToStandardOutput(
                json ? try document(connections, manual) : report(connections, manual))
            let errors = (connections?.errors ?? []) + (manual?.errors ?? [])
            guard errors.isEmpty else { return try Self.fail(errors, refused: connections?.refused ?? []) }
        } catch let error as GatewayError {
            throw Failure(gateway: error)
        }
    }

    /// Lists all errors, and ends with what they cost.
    private static func fail(_ errors: [Problem], refused: [String]) throws {
        for error in errors { writeToStandardError("\(error)\n") }
        let cost = refused.isEmpty ? "" : "; not served, and closed: \(refused.joined(separator: ", "))"
        throw Failure(.configuration, "\(errors.count) \(errors.count == 1 ? "error" : "errors")\(cost)")
    }

    private func report(_ connections: SwanctlConfiguration?, _ manual: ManualConfiguration?) -> String {
        let boundary = Self.boundary(connections, manual).text("Closed to packets in clear, with or without a gateway")
        let negotiated = connections.map { $0.description(replayWindow: replayWindow) + "\n" }
        return ([negotiated, manual.map { "\($0)\n" }].compactMap { $0 } + [boundary]).joined()
    }

    private static func boundary(
        _ connections: SwanctlConfiguration?, _ manual: ManualConfiguration?
    ) -> BoundaryReport {
        BoundaryReport(CoveredList(manual ?? ManualConfiguration(), connections?.connections ?? []))
    }

    /// The document that is printed: one object with both when both kinds of files are given, else the document of the
    /// one.
    private func document(
        _ connections: SwanctlConfiguration?, _ manual: ManualConfiguration?
    ) throws(GatewayError) -> String {
        do {
            let boundary = Self.boundary(connections, manual)
            guard let connections else {
                return try JSONDocument.text(Bounded(document: manual.map(CheckDocument.init), boundary: boundary))
            }
            guard let manual else {
                return try JSONDocument.text(
                    Bounded(document: SwanctlDocument(connections, replayWindow: replayWindow), boundary: boundary))
            }
            let both = Both(
                config: SwanctlDocument(connections, replayWindow: replayWindow), xfrmBatch: CheckDocument(manual))
            return try JSONDocument.text(Bounded(document: both, boundary: boundary))
        } catch {
            throw GatewayError(.failure, cause: error)
        }
    }

    /// A document with one member more.
    private struct Bounded<Document: Encodable>: Encodable {
        let document: Document
        let boundary: BoundaryReport

        private enum Keys: CodingKey { case boundary }

        func encode(to encoder: any Encoder) throws {
            try document.encode(to: encoder)
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(boundary, forKey: .boundary)
        }
    }

    private struct Both: Encodable {
        let config: SwanctlDocument
        let xfrmBatch: CheckDocument
    }
}
