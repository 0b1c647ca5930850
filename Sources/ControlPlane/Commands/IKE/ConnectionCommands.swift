import Configuration
import IKEv2
import NIOCore
import Packets

extension IKECommands {
    /// `load-conn`, `unload-conn`, `get-conns`, `reload-settings`.
    ///
    /// A connection with a fault is answered as an error. It is refused, or only its children with faults are; their packets
    /// stay closed, and what has been served before goes on, as when it comes from a file.
    ///
    /// A connection is a connection, whether it came from the file or over the socket: `get-conns` names all of them, so
    /// that `swanctl --load-all` takes those away that its file has no more. Only when the configuration file is read again,
    /// those stay that came over the socket and that it does not have.
    static func connections(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("load-conn", control) { control, request in
                let sections = request.sections
                guard let section = sections.first, sections.count == 1, !section.name.isEmpty else {
                    throw Problem("one connection is loaded at a time: one section that has its name")
                }
                let outcome = ConnectionTranslation.outcome(
                    SettingsSection(name: section.name, section.message), rules: control.proposalRules)
                for warning in outcome.warnings { control.log(0, "\(warning)") }
                try control.load(outcome)
                return .success
            },
            IKECommand("unload-conn", control) { control, request in
                let name = try request.required("name")
                guard control.unload(name) else {
                    throw Problem("unknown connection '\(name)'")
                }
                control.log(1, "connection \(name) is unloaded over the control socket")
                return .success
            },
            IKECommand("get-conns", control) { control, _ in
                var message = VICIMessage()
                message.append("conns", list: control.manager.connections.map(\.name))
                return message
            },
            IKECommand("reload-settings", control) { control, _, session in
                guard let reload = control.reload else { return session.eventLoop.makeSucceededFuture(.success) }
                return reload().map { .success }
            },
        ]
    }
}
