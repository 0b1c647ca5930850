import ControlPlane
import Gateway

/// A request to a running gateway that shows what happens while it runs, and how it ended.
struct ControlRequest {
    let socket: String
    let json: Bool
    var timeoutInSeconds = 10

    /// The document that `--json` prints.
    private struct Document: Encodable {
        var success: Bool
        /// The reason of a failure.
        var error: String?
        /// SAs that the command was about; absent for `initiate`.
        var matches: Int?
        /// The number of those SAs that are gone.
        var terminated: Int?
        /// The lines of `control-log`, in their order.
        var log: [String]
    }

    /// Sends the command and waits. Lines of `control-log` are printed as they come; `done` makes the text of a success.
    func run(_ command: String, _ message: VICIMessage, streamsLog: Bool, done: (VICIMessage) -> String) throws {
        var log: [String] = []
        do throws(VICIClientError) {
            let client = try VICIClient(path: socket, timeoutInSeconds: timeoutInSeconds)
            if streamsLog { try client.register(EventLine.controlEvent) }
            let answer = try client.request(command, message) { event, fields in
                guard event == EventLine.controlEvent, let line = fields["msg"] else { return }
                if json { log.append(line) } else { writeToStandardOutput(line + "\n") }
            }
            if json {
                try print(answer, error: nil, log)
            } else {
                writeToStandardOutput(done(answer) + "\n")
            }
        } catch {
            if json { try print([:], error: "\(error)", log) }
            throw Failure(.failure, [error.problem])
        }
    }

    private func print(_ answer: VICIMessage, error: String?, _ log: [String]) throws(VICIClientError) {
        let document = Document(
            success: error == nil, error: error, matches: answer["matches"].flatMap { Int($0) },
            terminated: answer["terminated"].flatMap { Int($0) }, log: log)
        do {
            writeToStandardOutput(try JSONDocument.text(document))
        } catch {
            throw .protocolViolation("\(error)")
        }
    }
}
