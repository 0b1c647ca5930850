import ArgumentParser
import ControlPlane

struct Initiate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "initiate",
        abstract: "Negotiate a tunnel of a running gateway, and wait until it is up.",
        discussion: """
            Shows the messages as they go, and when it fails, what each side wanted and which line of the configuration to \
            change. The exit code is 0 when the SA is up.

              sluice initiate --child net
            """)

    @OptionGroup var control: ControlFlags
    @OptionGroup var wait: WaitFlags
    @OptionGroup var answer: AnswerFlags

    @Option(help: ArgumentHelp("The child to negotiate, as the configuration names it.", valueName: "name"))
    var child: String?

    @Option(
        help: ArgumentHelp(
            "The connection to negotiate; with --child, the one that the child belongs to.", valueName: "name"))
    var ike: String?

    // Without this, -1 would be a flag.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Level of detail: -1 nothing, 0 outcomes, 1 messages, 2 details.", valueName: "level"))
    var loglevel = 1

    func validate() throws {
        if child == nil, ike == nil {
            throw ValidationError("say what to negotiate: --child NAME or --ike NAME")
        }
    }

    func run() throws {
        var message: VICIMessage = ["timeout": "\(wait.milliseconds)", "loglevel": "\(loglevel)"]
        if let child { message.append("child", child) }
        if let ike { message.append("ike", ike) }
        let request = ControlRequest(
            socket: control.control, json: answer.json, timeoutInSeconds: wait.clientSeconds)
        try request.run("initiate", message, streamsLog: true) { _ in
            child.map { "child \($0) is up" } ?? "connection \(ike ?? "") is up"
        }
    }
}
