import IKEv2
import NIOCore
import Packets

extension IKECommands {
    /// `initiate`, `terminate`, `rekey`, `install`, `uninstall`.
    static func negotiation(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("initiate", events: [EventLine.controlEvent], control) { control, request, session in
                try WaitingCommand(control, request, session).initiate()
            },
            IKECommand("terminate", events: [EventLine.controlEvent], control) { control, request, session in
                try WaitingCommand(control, request, session).terminate()
            },
            IKECommand("rekey", control) { control, request in
                let filter = try SAFilter(request, of: "rekey")
                control.log(1, "rekey \(filter.text) over the control socket")
                let count = control.manager.rekey(filter, reauthenticate: request.flag("reauth"), at: control.now)
                guard count > 0 else { return .nothing(toDo: "rekey") }
                return ["success": "yes", "matches": "\(count)"]
            },
            IKECommand("install", control) { control, request in
                let child = try request.required("child")
                control.log(1, "install \(child) over the control socket")
                switch control.manager.install(connection: request["ike"], child: child, at: control.now) {
                case .success: return .success
                case .failure(let why): throw Problem("\(why)")
                }
            },
            IKECommand("uninstall", control) { control, request in
                let child = try request.required("child")
                control.log(1, "uninstall \(child) over the control socket")
                guard control.manager.uninstall(connection: request["ike"], child: child, at: control.now) else {
                    throw Problem("policy '\(child)' not found")
                }
                return .success
            },
        ]
    }
}

extension VICIMessage {
    /// strongSwan's answer when a filter matches nothing.
    static func nothing(toDo what: String) -> VICIMessage {
        ["success": "no", "matches": "0", "errmsg": "no matching SAs to \(what) found"]
    }
}

extension SAFilter {
    /// The fields of `terminate`, `rekey` and `list-sas`, in strongSwan's two spellings.
    init(_ request: VICIMessage) throws(Problem) {
        let ikeID = (try request.number("ike-id", as: UInt32.self), try request.number("ike_id", as: UInt32.self))
        let childID = (try request.number("child-id", as: UInt32.self), try request.number("child_id", as: UInt32.self))
        self.init(
            connection: request["ike"], child: request["child"], ikeID: ikeID.0 ?? ikeID.1,
            childID: childID.0 ?? childID.1)
    }

    /// The filter of a command that must not mean everything.
    init(_ request: VICIMessage, of command: String) throws(Problem) {
        try self.init(request)
        guard self != SAFilter() else {
            throw Problem("say what to \(command): a child, an ike, or the number of one")
        }
    }

    /// For the log.
    var text: String {
        let parts: [(String, String?)] = [
            ("ike", connection), ("child", child), ("ike-id", ikeID.map { "\($0)" }),
            ("child-id", childID.map { "\($0)" }),
        ]
        return parts.compactMap { name, value in value.map { "\(name) \($0)" } }.joined(separator: ", ")
    }
}
