import IKEv2Messages

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
package struct Explanation: Error, Hashable, Sendable, CustomStringConvertible {
    /// "no proposal chosen".
    package var summary: String
    /// The details: what each side offered and what differed, line by line.
    package var details: [String]
    /// The remedy: which configuration line to change, and to what.
    package var remedy: String
    /// The kind of failure, for those who decide when to try again.
    package var cause: FailureCause

    package init(_ summary: String, details: [String] = [], remedy: String = "", cause: FailureCause = .other) {
        self.summary = summary
        self.details = details
        self.remedy = remedy
        self.cause = cause
    }

    /// The same with the cause that an error notify of the peer stands for.
    func because(_ error: NotifyType) -> Explanation {
        var explanation = self
        explanation.cause = FailureCause(error)
        return explanation
    }

    package var description: String {
        ([summary] + details + (remedy.isEmpty ? [] : [remedy])).joined(separator: "; ")
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
