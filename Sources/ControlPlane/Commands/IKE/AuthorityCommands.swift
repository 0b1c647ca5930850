import Configuration
import NIOCore
import Packets

extension IKECommands {
    /// `load-authority`, `unload-authority`, `get-authorities`, `list-authorities`.
    static func authorities(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("load-authority", control) { control, request in
                let sections = request.sections
                guard let section = sections.first, sections.count == 1, !section.name.isEmpty else {
                    throw Problem("one authority is loaded at a time: one section that has its name")
                }
                control.credentials.add(try Authority(SettingsSection(name: section.name, section.message)))
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
    /// In the shape of strongSwan's `list-authority`. CRLs come from files only, and are held by then.
    var listing: VICIMessage {
        var section: VICIMessage = ["cacert": certificate.subject.description]
        section.append("crl_uris", list: [])
        section.append("ocsp_uris", list: [])
        var message = VICIMessage()
        message.append(name, section: section)
        return message
    }
}
