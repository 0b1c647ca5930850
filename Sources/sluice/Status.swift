import ArgumentParser
import ControlPlane

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a running gateway does.",
        discussion: """
            Ports and the modes they got, workers, what was negotiated, security associations with counters and replay \
            windows, policies, next hops, and why packets were dropped. Needs access to the control socket: root, or its group.
            """)

    @OptionGroup var control: ControlFlags

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        do throws(VICIClientError) {
            let client = try VICIClient(path: control.control)
            writeToStandardOutput(try client.status(json ? .json : .text))
        } catch {
            throw Failure(.failure, "\(error)")
        }
    }
}
