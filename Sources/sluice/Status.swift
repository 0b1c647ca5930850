import ArgumentParser
import ControlPlane
import Gateway
import Packets

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a running gateway does.",
        discussion: """
            Ports and the modes they got, workers, what was negotiated, security associations with counters and replay \
            windows, policies, next hops, and why packets were dropped. Needs access to the control socket: root, or its group.
            When no gateway answers, it shows what the kernel holds closed all the same, and the exit code is 1.
            """)

    @OptionGroup var control: ControlFlags

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() throws {
        do throws(VICIClientError) {
            let client = try VICIClient(path: control.control)
            writeToStandardOutput(try client.status(json ? .json : .text))
        } catch {
            // What an ended gateway has left closed is the more worth knowing.
            if !json, let report = try? BoundaryControl.report() {
                writeToStandardOutput(report.text("Closed to packets in clear, though no gateway answers"))
            }
            throw Failure(.failure, [Problem(of: error)])
        }
    }
}
