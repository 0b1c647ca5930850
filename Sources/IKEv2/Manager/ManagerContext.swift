import Packets

/// The things that all parts of the manager share: settings, clock, timers, counters, leases of addresses, the way to the
/// log, and the list of what is still to follow. It knows none of the parts.
final class ManagerContext {
    let settings: ProtocolSettings
    let output: any ManagerOutput
    private(set) var now: Instant
    private(set) var isShuttingDown = false
    var count = ManagerCounters()
    let leases = AddressLeases()
    private var timers = TimerQueue<ManagerTimer>()
    private var followUps: [FollowUp] = []

    init(settings: ProtocolSettings, output: any ManagerOutput, now: Instant) {
        self.settings = settings
        self.output = output
        self.now = now
    }

    /// Time does not go back.
    func advance(to time: Instant) { now = max(now, time) }

    /// Lets nothing new begin from now on.
    func shutDown() { isShuttingDown = true }

    /// `seconds` from now, as far as there is such a time.
    func after(seconds: UInt64) -> Instant { now + .seconds(seconds) }

    /// The meaning of `dynamic` for children of a session.
    func selectors(of session: Session) -> SelectorContext {
        SelectorContext(session.path, leased: leases.addresses(of: session))
    }

    // MARK: Timers

    var nextDeadline: Instant? { timers.first }
    var timerCount: Int { timers.count }

    func wake(_ timer: ManagerTimer, at time: Instant) { timers.add(timer, at: time) }

    /// The earliest timer whose time has come.
    func nextDueTimer() -> ManagerTimer? { timers.next(dueBy: now) }

    /// Forgets timers that mean nothing any more.
    func keepTimers(where isMeant: (ManagerTimer) -> Bool) { timers.keep(where: isMeant) }

    // MARK: What follows

    /// Puts something off until the actions at hand are applied.
    func later(_ followUp: FollowUp) { followUps.append(followUp) }

    /// The follow-ups that are due, in the order in which they came.
    func takeFollowUps() -> [FollowUp] {
        let all = followUps
        followUps = []
        return all
    }

    // MARK: Log

    func report(_ event: ManagerEvent) { output.report(event) }

    /// - Parameter path: where the peer is, as far as that is known.
    func note(_ level: NoteLevel, _ text: String, connection: String, path: Path? = nil) {
        output.report(ManagerEvent(ike: .none(connection: connection, path: path), event: .note(level, text)))
    }
}

/// A consequence of a session's actions, drawn once all of them are applied. Indirect, since SAs are large.
indirect enum FollowUp {
    /// The peer has proved who it is; it had these IKE SAs before.
    case established(SessionRecord, earlier: [SessionRecord], initialContact: Bool)
    case closed(SessionRecord, CloseReason)
    /// A CHILD_SA came up that was asked for so.
    case childUp(ChildSA, SessionRecord, ChildCall?)
    /// A child did not come up; who waits for it is told the outcome.
    case childFailed(String, Result<Void, Explanation>, SessionRecord)
    /// A CHILD_SA ended, and that was not our wish: alone, or with its IKE SA.
    case childClosed(ChildSA, Child, SessionRecord)
    case childLost(ChildSA, SessionRecord, CloseReason)
    /// The dataplane did not take a CHILD_SA that the peer believes in.
    case notInstalled(ChildSA, SessionRecord, Explanation)
    case endChild(ChildSA, SessionRecord)
    case end(SessionRecord)
    /// A child is asked for again.
    case ask(ChildCall, Child, SessionRecord)
    /// The peer refuses new keys for these children: another IKE SA is wanted.
    case successorWanted(SessionRecord, children: [String])
}

extension IKESAStatus {
    /// The status that goes with events outside of any IKE SA.
    static func none(connection: String = "", path: Path? = nil) -> IKESAStatus {
        let nowhere = Endpoint(.unspecified(.ipv4), port: 0)
        return IKESAStatus(
            id: 0, connectionName: connection, state: .connecting, isInitiator: false, initiatorSPI: 0,
            responderSPI: 0, path: path ?? Path(local: nowhere, remote: nowhere))
    }
}
