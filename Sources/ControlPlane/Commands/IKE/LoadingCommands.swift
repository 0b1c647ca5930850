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

extension IKECommands {
    /// `load-authority`, `unload-authority`, `get-authorities`, `list-authorities`.
    static func authorities(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("load-authority", control) { control, request in
                let sections = request.sections
                guard let section = sections.first, sections.count == 1, !section.name.isEmpty else {
                    throw Problem("one authority is loaded at a time: one section that has its name")
                }
                control.credentials.add(
                    try Authority(SettingsSection(name: section.name, section.message)), from: .control)
                control.log(1, "authority \(section.name) is loaded over the control socket")
                return .success
            },
            IKECommand("unload-authority", control) { control, request in
                let name = try request.required("name")
                guard control.credentials.removeAuthority(name: name) else {
                    throw Problem("unknown authority '\(name)'")
                }
                control.log(1, "authority \(name) is unloaded over the control socket")
                return .success
            },
            list("get-authorities", "authorities", control) { $0.credentials.authorities.map(\.name) },
            stream("list-authorities", "list-authority", control) { control, request in
                control.credentials.authorities.filter { (request["name"] ?? $0.name) == $0.name }
                    .map { authority in { authority.listing } }
            },
        ]
    }
}

extension Authority {
    /// An authority in the shape of strongSwan's `list-authority`. CRLs come from files only, and are held by then.
    var listing: VICIMessage {
        var section: VICIMessage = ["cacert": certificate.subject.description]
        section.append("crl_uris", list: [])
        section.append("ocsp_uris", list: [])
        var message = VICIMessage()
        message.append(name, section: section)
        return message
    }
}

extension VICIMessage {
    /// The sections of the message, in order.
    var sections: [(name: String, message: VICIMessage)] {
        fields.compactMap { field in
            if case .section(let section) = field.content { (field.name, section) } else { nil }
        }
    }
}

extension SettingsSection {
    /// A client's message in the shape of a section of swanctl.conf.
    ///
    /// A key that comes twice counts as the later one, sections of one name are merged, as in a file. Values of several
    /// lines and values that are no text are certificates or keys, which are items of a list.
    init(name: String, _ message: VICIMessage) {
        self.init(name: name)
        var valueIndices: [String: Int] = [:]
        var sectionFields: [(name: String, message: VICIMessage)] = []
        var sectionIndices: [String: Int] = [:]
        for field in message.fields {
            if case .section(let section) = field.content {
                if let index = sectionIndices[field.name] {
                    sectionFields[index].message.fields += section.fields
                } else {
                    sectionIndices[field.name] = sectionFields.count
                    sectionFields.append((field.name, section))
                }
                continue
            }
            guard let content = Value.Content(field) else { continue }
            let value = Value(key: field.name, content: content)
            if let index = valueIndices[field.name] {
                values[index] = value
            } else {
                valueIndices[field.name] = values.count
                values.append(value)
            }
        }
        sections = sectionFields.map { SettingsSection(name: $0.name, $0.message) }
    }
}

extension SettingsSection.Value.Content {
    /// The value of a field; nil for a section.
    fileprivate init?(_ field: VICIMessage.Field) {
        switch field.content {
        case .value(let bytes):
            let text = bytes.contains(UInt8(ascii: "\n")) ? nil : String(validating: bytes, as: UTF8.self)
            self = text.map { .text($0) } ?? .list([bytes])
        case .list(let items): self = .list(items)
        case .secret(let secret): self = .secret(secret)
        case .section: return nil
        }
    }
}
