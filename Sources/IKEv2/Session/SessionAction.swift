import IKEv2Messages
import Packets

/// Request of a session to its manager. The order counts: what a message lets the peer do is possible before it is sent.
package enum SessionAction {
    case send(OutgoingMessage)
    case installInbound(ChildSA)
    /// Also for the first SA; then there is nothing to move away from.
    case installOutbound(ChildSA)
    /// The same for an SA that the peer asked for and learns of by the answer that was just sent. When another IKE SA has
    /// one for the same packets, that may go on until the peer is known to have this.
    case installOutboundWhenUsed(ChildSA)
    case removeOutbound(ChildSA)
    /// After the drain time, so that packets under way still arrive; `atOnce` when nothing can come any more.
    case removeInbound(ChildSA, atOnce: Bool)
    /// The SPI was allocated, and no SA came of it.
    case releaseSPI(SPI)
    case move(ChildSA, to: Path, isEncapsulated: Bool)
    case report(SessionEvent)
    /// An IKE_SA_INIT request was refused, and nothing is left of it. Anybody can bring that about at any rate, so the
    /// words are found only if they are wanted.
    case explain(() -> Explanation)
    /// The same of what belongs to an ordinary negotiation, as another group that is asked for.
    case remark(() -> String)
    /// The IKE SA was rekeyed: the new one has taken over all children. The old one lives on until its `closed`.
    case replaced(by: Session)
    /// Both sides rekeyed the IKE SA at once (RFC 7296 section 2.8.2): a second new one, without children. It wants its
    /// messages; then a `replaced` names it, or it is closed.
    case accompanied(by: Session)
    /// A child goes: what it was like is for the reports that follow.
    case departing(ChildSAStatus)
    /// The session ends: what it was like until now, children and all, is for the reports that follow.
    case ending(IKESAStatus)
    /// The peer refuses new keys to these children, or to the whole IKE SA, and they are wanted: they have to come up in a
    /// new IKE SA, before the old SAs end if there is time.
    case successorWanted(children: [String])
    /// The session wants to know something before it goes on, and nobody knew at once: `Session.answered`.
    case ask(QuestionID, Question)
    /// Nobody waits for the answer any more.
    case withdraw(QuestionID)
    /// The session is over: no message of it means anything any more. The manager forgets it.
    case closed(CloseReason)
}

/// One IKE message, ready to send: one datagram, or its fragments (RFC 7383). Without non-ESP markers.
package struct OutgoingMessage: Sendable {
    package var path: Path
    package var datagrams: [[UInt8]]
    /// For the log; made whether or not it is logged, so keep it cheap.
    package var line: MessageLine

    package init(path: Path, datagrams: [[UInt8]], line: MessageLine) {
        self.path = path
        self.datagrams = datagrams
        self.line = line
    }
}

/// Reason why a session ended.
package enum CloseReason: Hashable, Sendable {
    /// We were told to.
    case terminated
    case deletedByPeer
    /// The new IKE SA has replaced it.
    case rekeyed
    /// A new IKE SA with the same peer was authenticated.
    case reauthenticated
    /// An INITIAL_CONTACT, or `unique`, says that another IKE SA took its place.
    case superseded
    /// No answer to any repetition.
    case peerDead
    case negotiationFailed(Explanation)
    /// A peer did not finish its negotiation in time.
    case halfOpenTimeout
    /// The hard limit of time.
    case expired

    /// One side has told the other that the IKE SA goes.
    var isByDeletion: Bool {
        switch self {
        case .terminated, .deletedByPeer, .rekeyed, .reauthenticated, .expired: true
        case .superseded, .peerDead, .negotiationFailed, .halfOpenTimeout: false
        }
    }
}
