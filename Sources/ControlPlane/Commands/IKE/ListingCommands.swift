import IKEv2
import NIOCore

extension IKECommands {
    /// `list-sas`, `list-policies`, `list-conns`, `list-certs`, which stream an event for each item.
    static func listings(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            stream("list-sas", "list-sa", control) { control, request in
                let filter = try SAFilter(request)
                let now = control.now
                // As strongSwan does it: children are chosen within the IKE SAs, which are all there.
                return control.manager.statuses(matching: filter).map { ike in
                    { SAListing.message(ike, now: now) { filter.matches($0) } }
                }
            },
            stream("list-policies", "list-policy", control) { control, request in
                guard request.flag("trap") else { return [] }
                let (ike, child) = (request["ike"], request["child"])
                return control.manager.traps
                    .filter {
                        (ike ?? $0.connectionName) == $0.connectionName && (child ?? $0.child.name) == $0.child.name
                    }
                    .map { trap in { trap.listing } }
            },
            stream("list-conns", "list-conn", control) { control, request in
                control.manager.connections.filter { !$0.isRefused && (request["ike"] ?? $0.name) == $0.name }
                    .map { connection in { ConnectionListing.message(connection) } }
            },
            stream("list-certs", "list-cert", control) { control, request in
                CertificateFilter(request).messages(control.credentials, connections: control.manager.connections)
                    .map { message in { message } }
            },
        ]
    }

    /// A command that streams `event` for each of the messages.
    static func stream(
        _ name: String, _ event: String, _ control: NIOLoopBound<IKEControl>,
        _ messages: @escaping @Sendable (IKEControl, VICIMessage) throws -> [@Sendable () -> VICIMessage]
    ) -> IKECommand {
        IKECommand(name, events: [event], control) { control, request, session in
            session.stream(event, try messages(control, request)).map { VICIMessage() }
        }
    }
}
