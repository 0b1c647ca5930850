import IKEv2Messages
import IPsec

/// One IKE SA (RFC 7296): events in, actions out. No socket, no clock.
///
/// The way of a message: the manager finds the session by SPI → `receive` → window (``MessageWindow``) → opened, put
/// together from fragments → message rules → as a response to the `active` exchange, as a request to a function of
/// Exchanges/ that returns the payloads of the answer → sealed, sent, kept for a repetition.
///
/// What it waits for is its ``Phase``; what it wants to begin is in `queue`, one exchange at a time in `active`.
public final class Session {
    /// Unique in this process; what swanctl calls the unique id.
    public let id: UInt32
    /// Which end of this IKE SA, or of the rekey that made it, we are.
    public let role: IKERole
    /// 0: not yet.
    public internal(set) var initiatorSPI: UInt64
    public internal(set) var responderSPI: UInt64
    /// nil: the responder does not know yet which it will be.
    public internal(set) var connection: Connection?
    public internal(set) var path: Path

    var phase: Phase
    var window = MessageWindow()
    /// Waits for the window, in this order.
    var queue: [QueuedExchange] = []
    /// Has sent its request.
    var active: (any InitiatedExchange)?
    var childRecords: [ChildRecord] = []
    /// SPIs of the peer that it has deleted here before it was decided that this IKE SA inherits the children.
    var earlyDeletes: [UInt32] = []
    /// What the other side can do, as far as it said so.
    var peer = PeerCapabilities()
    var nat = NATSituation()
    /// Fragments of messages that are not complete; nil while there are none.
    var reassembler: FragmentReassembler?
    /// When these are forgotten unless another one comes, nanoseconds; nil: there are none.
    var reassemblyEndsAt: UInt64?
    /// When an authentic message last came, nanoseconds.
    var lastHeardAt: UInt64
    /// By when the negotiation has to be done; nil: it is, or is given up by itself.
    var halfOpenUntil: UInt64?
    /// When an unprotected hint, or a wrong message id, may be acted on again (RFC 7296 sections 2.3 and 2.21.4).
    var nextHintAt: UInt64 = 0

    init(
        id: UInt32, role: IKERole, initiatorSPI: UInt64, responderSPI: UInt64, connection: Connection?, path: Path,
        phase: Phase, now: UInt64
    ) {
        self.id = id
        self.role = role
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.connection = connection
        self.path = path
        self.phase = phase
        lastHeardAt = now
    }

    /// The CHILD_SAs that are installed, those on their way out included.
    public var children: [ChildSA] { childRecords.map(\.sa) }

    /// Those of whose end there will be a report: not what was replaced and goes by itself, nor what still waits for the
    /// place of another.
    public var currentChildren: [ChildSA] {
        childRecords.filter { record in
            if record.replaces != nil { return false }
            return record.state != .rekeyed || childRecords.contains { $0.replaces == record.sa.id }
        }.map(\.sa)
    }

    public var isEstablished: Bool {
        if case .established = phase { true } else { false }
    }
}

// MARK: - Steps

extension Session {
    /// Handles one event: whatever it was, then the next exchange begins if one waits, or the session ends.
    func step(_ environment: any SessionEnvironment, _ body: (inout Step) -> Void) -> [SessionAction] {
        var step = Step(environment)
        if case .closed = phase { return [] }
        body(&step)
        step.answerIsSent()
        if step.closing == nil { beginNextExchange(&step) }
        if let reason = step.closing { close(reason, &step) }
        return step.finish()
    }

    /// Takes down what there is, and is over.
    private func close(_ reason: CloseReason, _ step: inout Step) {
        var last = status(at: step.now) { step.environment.usage(of: $0) }
        if reason.isByDeletion, isEstablished { last.state = .deleting }
        step.act(.ending(last))
        if var exchange = active {
            active = nil
            exchange.abandoned(in: self, &step)
        }
        // What replaces this IKE SA has SAs for the same packets, and some may be under way in the old ones.
        let isReplaced = [.rekeyed, .reauthenticated, .superseded].contains(reason)
        // The latest first: an SA that waits for the place of another gives it back, and the end of that one is reported.
        while let record = childRecords.last {
            remove(record, reason: reason.explanation.summary, atOnce: !isReplaced, &step)
        }
        queue = []
        window.completed()
        forgetFragments()
        phase = .closed
        step.act(.closed(reason))
    }
}
