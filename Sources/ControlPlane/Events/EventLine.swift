import Configuration
import IKEv2

/// One line of what IKE does, as the events `log` and `control-log` carry it.
package struct EventLine: Hashable, Sendable {
    package static let event = "log"
    package static let controlEvent = "control-log"

    /// The part of the daemon that speaks, by strongSwan's abbreviations.
    package enum Group: String, Hashable, Sendable {
        case ike = "IKE"
        case child = "CHD"
        case network = "NET"
        case configuration = "CFG"
        case control = "DMN"
    }

    package var group: Group
    /// 0: what everybody wants to know, 1: the course of a negotiation, 2: details.
    package var level: Int
    package var text: String
    /// The IKE SA that it is about: its connection's name and its number.
    package var session: Session?

    package struct Session: Hashable, Sendable {
        package var name: String
        package var id: UInt32
    }

    package init(group: Group, level: Int, text: String, session: Session? = nil) {
        self.group = group
        self.level = level
        self.text = text
        self.session = session
    }

    /// The fields of both events; `thread` is there for those who look for it.
    var message: VICIMessage {
        var message: VICIMessage = ["group": group.rawValue, "level": "\(level)", "thread": "0"]
        if let session {
            message.append("ikesa-name", session.name)
            message.append("ikesa-uniqueid", session.id)
        }
        // A value's limit is far above this; a line is for reading.
        message.append("msg", PlainText.of(text).prefix(8192))
        return message
    }
}

extension EventLine {
    /// The text of an event of the manager, line by line. No secrets.
    package static func lines(_ event: ManagerEvent) -> [EventLine] {
        let session = event.ike.id == 0 ? nil : Session(name: event.ike.connectionName, id: event.ike.id)
        return lines(event.event, ike: event.ike).map { group, level, text in
            EventLine(group: group, level: level, text: text, session: session)
        }
    }

    private typealias Parts = (Group, Int, String)

    private static func lines(_ event: ManagerEvent.Kind, ike: IKESAStatus) -> [Parts] {
        let name = "\(ike.connectionName.isEmpty ? "(unnamed)" : ike.connectionName)[\(ike.id)]"
        switch event {
        case .session(let event): return lines(event, name: name, ike: ike)
        case .closed(let reason): return [(.ike, 0, "IKE SA \(name) is closed: \(reason.words)")]
        case .note(let level, let text): return [(.ike, level.viciLevel, text)]
        }
    }

    private static func lines(_ event: SessionEvent, name: String, ike: IKESAStatus) -> [Parts] {
        switch event {
        case .message(let line): [(.network, 1, "\(line)")]
        case .established: [(.ike, 0, "IKE SA \(name) is established between \(ends(ike))")]
        case .childUp(let sa): [(.child, 0, "CHILD_SA \(text(sa)) is up, \(details(sa))")]
        case .childDown(let sa, let reason): [(.child, 0, "CHILD_SA \(text(sa)) is down: \(reason)")]
        case .childRekeyed(let old, let new):
            [(.child, 0, "CHILD_SA \(text(old)) is replaced by \(text(new)), \(details(new))")]
        case .rekeyed(let new):
            [(.ike, 0, "IKE SA \(name) is replaced by \(new.connectionName)[\(new.id)], \(ends(new))")]
        case .childFailed(let child, let why): explain("CHILD_SA \(child) was not negotiated", why, .child)
        case .failed(let why): explain("IKE SA \(name) was not negotiated", why, .ike)
        case .moved(let from, let to): [(.ike, 0, "peer of \(name) has moved from \(from.remote) to \(to.remote)")]
        case .note(let level, let text): [(.ike, level.viciLevel, text)]
        }
    }

    private static func explain(_ what: String, _ why: Explanation, _ group: Group) -> [Parts] {
        let remedy = why.remedy.isEmpty ? [] : [why.remedy]
        return [(group, 0, "\(what): \(why.what)")] + (why.details + remedy).map { (group, 0, "  \($0)") }
    }

    private static func ends(_ ike: IKESAStatus) -> String {
        let (local, remote) = (ike.localIdentity ?? .any, ike.remoteIdentity ?? .any)
        return "\(ike.path.local) [\(local)] and \(ike.path.remote) [\(remote)]"
    }

    private static func text(_ sa: ChildSA) -> String { "\(sa.child.name){\(sa.id)}" }

    private static func details(_ sa: ChildSA) -> String {
        let (local, remote) = (ListedSelector.joined(sa.localSelectors), ListedSelector.joined(sa.remoteSelectors))
        return
            "SPIs \(sa.inboundSPI.digits) in, \(sa.outboundSPI.digits) out, \(local) === \(remote)"
    }
}

extension NoteLevel {
    /// The level of a line: warnings are for everybody.
    var viciLevel: Int {
        switch self {
        case .warning: 0
        case .info: 1
        case .debug: 2
        }
    }
}
