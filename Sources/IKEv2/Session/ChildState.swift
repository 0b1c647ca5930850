/// State of a CHILD_SA from its installation to its end (RFC 7296 sections 1.3.3, 1.4.1, 2.8).
///
/// The picture of ``transitions`` is in ChildStates.md beside this file; a test makes it, and one walks through all states
/// and events. Whether an SA sends, and for which other one it waits, is not a state: see ``ChildTable/Entry``.
enum ChildState: String, CaseIterable, Sendable {
    /// Receives. Sends as well, unless it waits for the place of a predecessor.
    case installed
    /// The same while our request for its successor waits for the answer.
    case rekeying
    /// Another SA has its place: it receives what is under way, and sends at most until the successor can.
    case rekeyed
    /// Our Delete waits for the answer, and it no longer sends.
    case deleting
    /// The SA is not in the table any more.
    case gone
}

/// Event in the life of a CHILD_SA.
enum ChildEvent: String, CaseIterable, Sendable {
    /// Our request for a successor goes out.
    case rekeyBegan
    /// The peer refuses it, or it comes to nothing otherwise.
    case rekeyRefused
    /// A successor is there, made by us or by the peer.
    case replaced
    /// The SA of the other one of two rekeys at once stays.
    case collisionLost
    /// The successor, which still waited for this one's place, is gone.
    case successorLost
    /// The same while our own request for a successor waits for the answer.
    case successorLostMeanwhile
    /// Our Delete goes out.
    case deletionBegan
    /// The peer deletes it.
    case deletedByPeer
    /// The peer has answered our Delete.
    case drained
    /// The peer answers that it knows no such SA.
    case unknownToPeer
    /// The IKE SA ends.
    case sessionEnded
}

extension ChildState {
    /// Every step there is; an event that has no row for a state changes nothing.
    static let transitions: [(from: ChildState, event: ChildEvent, to: ChildState)] =
        [
            (.installed, .rekeyBegan, .rekeying),
            (.installed, .replaced, .rekeyed),
            (.installed, .collisionLost, .rekeyed),
            (.installed, .deletionBegan, .deleting),
            (.rekeying, .rekeyRefused, .installed),
            (.rekeying, .replaced, .rekeyed),
            (.rekeying, .collisionLost, .rekeyed),
            (.rekeying, .deletionBegan, .deleting),
            (.rekeyed, .successorLost, .installed),
            (.rekeyed, .successorLostMeanwhile, .rekeying),
        ] + removals

    /// The transitions to the end, which are the same in every state.
    private static let removals: [(from: ChildState, event: ChildEvent, to: ChildState)] =
        allCases.filter { $0 != .gone }.flatMap { state in
            [ChildEvent.deletedByPeer, .drained, .unknownToPeer, .sessionEnded].map { (state, $0, .gone) }
        }

    /// The state after an event; nil: it changes nothing.
    func after(_ event: ChildEvent) -> ChildState? {
        Self.transitions.first { $0.from == self && $0.event == event }?.to
    }

    /// Whether it is not on its way out.
    var isCurrent: Bool { self == .installed || self == .rekeying }

    /// The state as listings show it.
    var shown: ChildSAStatus.State {
        switch self {
        case .installed: .installed
        case .rekeying: .rekeying
        case .rekeyed: .rekeyed
        case .deleting: .deleting
        case .gone: .deleted
        }
    }

    /// The transitions as a Mermaid diagram, for ChildStates.md.
    static var picture: String {
        var lines = ["stateDiagram-v2", "    [*] --> \(ChildState.installed)"]
        for from in allCases {
            for to in allCases {
                let events = transitions.filter { $0.from == from && $0.to == to }.map(\.event.rawValue)
                if !events.isEmpty { lines.append("    \(from) --> \(to): \(events.joined(separator: ", "))") }
            }
        }
        return (lines + ["    \(ChildState.gone) --> [*]"]).joined(separator: "\n")
    }
}
