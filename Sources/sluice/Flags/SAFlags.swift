import ArgumentParser
import ControlPlane
import Gateway

/// Flags that choose the SAs of a command.
struct SAFlags: ParsableArguments {
    @Option(help: ArgumentHelp("SAs of this child, as the configuration names it.", valueName: "name"))
    var child: String?

    @Option(help: ArgumentHelp("SAs of this connection.", valueName: "name"))
    var ike: String?

    @Option(help: ArgumentHelp("The CHILD_SA of this number.", valueName: "number"))
    var childID: UInt32?

    @Option(help: ArgumentHelp("The IKE SA of this number.", valueName: "number"))
    var ikeID: UInt32?

    func validate() throws {
        if child == nil, ike == nil, childID == nil, ikeID == nil {
            throw ValidationError("say which: --child NAME, --ike NAME, --child-id NUMBER or --ike-id NUMBER")
        }
    }

    /// The flags as fields of a request.
    var message: VICIMessage {
        var message = VICIMessage()
        if let child { message.append("child", child) }
        if let ike { message.append("ike", ike) }
        if let childID { message.append("child-id", childID) }
        if let ikeID { message.append("ike-id", ikeID) }
        return message
    }
}

/// The flag for the time that a command waits for its outcome.
struct WaitFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Seconds to wait for the outcome; 0: as long as it takes. By default 60.", valueName: "seconds"))
    var timeout: Int?

    func validate() throws {
        if let timeout, !(0...86_400).contains(timeout) {
            throw ValidationError("--timeout \(timeout): give 0 to 86400 seconds")
        }
    }

    /// The time that the gateway waits for the outcome.
    var milliseconds: Int { (timeout ?? 60) * 1000 }

    /// The time that we wait for the gateway's answer: a little longer. 0: without end.
    var clientSeconds: Int { timeout == 0 ? 0 : (timeout ?? 60) + 10 }
}

/// Flags about the form of a command's answer.
struct AnswerFlags: ParsableArguments {
    @Flag(help: "Print one JSON document, at the end.")
    var json = false
}
