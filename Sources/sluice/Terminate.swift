import ArgumentParser
import ControlPlane

struct Terminate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "terminate",
        abstract: "End SAs of a running gateway, and wait until they are gone.",
        discussion: """
            The peer is told; what it sends is not understood any more. A connection whose close_action or start_action \
            says so comes back.

              sluice terminate --ike moon
            """)

    @OptionGroup var control: ControlFlags
    @OptionGroup var filter: SAFlags
    @OptionGroup var wait: WaitFlags
    @OptionGroup var answer: AnswerFlags

    @Flag(help: "Of IKE SAs: do not wait for the peer; with --timeout, not longer than that.")
    var force = false

    func run() throws {
        var message = filter.message
        // With a time limit, force means: when the time is up; without, at once.
        message.append("timeout", force && wait.timeout == nil ? 0 : wait.milliseconds)
        if force { message.append("force", "yes") }
        let request = ControlRequest(
            socket: control.control, json: answer.json, timeoutInSeconds: wait.clientSeconds)
        try request.run("terminate", message, streamsLog: true) { answer in
            "\(answer["terminated"] ?? "0") of \(answer["matches"] ?? "0") SAs ended"
        }
    }
}
