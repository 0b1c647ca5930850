import Packets

/// The outside world as the manager uses it: sockets, names, listeners. All calls are made on the control thread.
package protocol ManagerOutput: AnyObject {
    /// One datagram, from `path.local` to `path.remote`, without a non-ESP marker: the socket knows whether it needs one.
    func send(_ datagram: [UInt8], path: Path)
    /// A NAT keepalive: the one byte 0xFF (RFC 3948 section 2.3).
    func sendKeepalive(path: Path)
    /// Our address towards a peer, by the host's routes; nil when there is none.
    func sourceAddress(towards remote: IPAddress) -> IPAddress?
    /// Whether an answer to an address makes the kernel look for a neighbour that it does not know yet.
    func needsNeighbour(_ remote: IPAddress) -> Bool
    /// Looks a host name up, and calls `SessionManager.resolved` with the answer, later or at once.
    func resolve(_ name: String, request: UInt64)
    /// The answer to a question of a session, if it is known at once; nil: it is asked by `ask`.
    func answer(_ question: Question) -> Answer?
    /// Has a question answered by `SessionManager.answered`, later, and from wherever the answer comes.
    func ask(_ question: Question, _ id: QuestionID)
    /// Nobody waits for the answer any more.
    func withdraw(_ id: QuestionID)
    /// Something happened: for the log, VICI events and waiting commands.
    func report(_ event: ManagerEvent)
    /// Whether `logKeys` wants any; keys become text only then.
    var logsKeys: Bool { get }
    func logKeys(_ line: KeyLogLine)
}

extension ManagerOutput {
    package var logsKeys: Bool { true }
    package func needsNeighbour(_ remote: IPAddress) -> Bool { false }
    package func answer(_ question: Question) -> Answer? { question.answer() }
    package func ask(_ question: Question, _ id: QuestionID) {}
    package func withdraw(_ id: QuestionID) {}
}

/// An event with the session that it happened in, as it is now.
package struct ManagerEvent: Sendable {
    package var ike: IKESAStatus
    package var event: Kind

    package enum Kind: Sendable {
        case session(SessionEvent)
        case closed(CloseReason)
        /// A note that nothing came of a command or of a start action; there may be no session.
        case note(NoteLevel, String)
    }

    package init(ike: IKESAStatus, event: Kind) {
        self.ike = ike
        self.event = event
    }
}
