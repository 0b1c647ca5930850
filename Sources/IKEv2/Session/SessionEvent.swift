import IKEv2Messages
import Packets

/// Event in a session: for the log, for VICI, for those that wait for an outcome.
package enum SessionEvent: Sendable {
    case message(MessageLine)
    /// The IKE SA is authenticated. `initialContact`: the peer says that it has no other with us.
    case established(initialContact: Bool)
    /// Both directions are installed.
    case childUp(ChildSA)
    case childDown(ChildSA, reason: String)
    case childRekeyed(old: ChildSA, new: ChildSA)
    /// The old IKE SA is the one that reports it.
    case rekeyed(new: IKESAStatus)
    /// The peer did not let us have this child; the IKE SA lives.
    case childFailed(name: String, Explanation)
    /// The negotiation of the IKE SA failed; `closed` follows.
    case failed(Explanation)
    /// The peer's address or port has changed.
    case moved(from: Path, to: Path)
    /// Something that an operator may want to read.
    case note(NoteLevel, String)
}

package enum NoteLevel: String, Hashable, Sendable {
    case debug, info, warning
}

/// Reason why a negotiation failed, in words for the operator of this side: one record of the log. No secrets.
package struct Explanation: OperatorError, Hashable, Sendable {
    /// The details say what each side offered and what differed; the remedy, which configuration line to change, and to
    /// what.
    package var problem: Problem
    /// The kind of failure, for those who decide when to try again.
    package var cause: FailureCause

    /// "no proposal chosen".
    package var what: String { problem.what }
    package var details: [String] {
        get { problem.details }
        set { problem.details = newValue }
    }
    package var remedy: String { problem.remedy }

    package init(_ what: String, details: [String] = [], remedy: String = "", cause: FailureCause = .other) {
        problem = Problem(what, details: details, remedy: remedy)
        self.cause = cause
    }

    /// The same with the cause that an error notify of the peer stands for.
    func because(_ error: NotifyType) -> Explanation {
        var explanation = self
        explanation.cause = FailureCause(error)
        return explanation
    }
}

extension FailureCause {
    init(_ error: NotifyType) {
        switch error {
        case .authenticationFailed: self = .authentication
        case .noProposalChosen: self = .proposals
        case .trafficSelectorsUnacceptable: self = .selectors
        case .singlePairRequired: self = .singlePair
        default: self = .other
        }
    }
}
