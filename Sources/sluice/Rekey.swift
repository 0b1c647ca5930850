import ArgumentParser
import ControlPlane

struct Rekey: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rekey",
        abstract: "Give SAs of a running gateway new keys, now.",
        discussion: """
            Returns when the negotiations have begun; packets flow all the time. `sluice status` shows the new SAs.

              sluice rekey --child net
            """)

    @OptionGroup var control: ControlFlags
    @OptionGroup var filter: SAFlags
    @OptionGroup var answer: AnswerFlags

    @Flag(help: "Authenticate again instead: a new IKE SA with all its children replaces the old one.")
    var reauth = false

    func run() throws {
        var message = filter.message
        if reauth { message.append("reauth", "yes") }
        let request = ControlRequest(socket: control.control, json: answer.json)
        try request.run("rekey", message, streamsLog: false) { answer in
            "\(answer["matches"] ?? "0") SAs are being \(reauth ? "reauthenticated" : "rekeyed")"
        }
    }
}
