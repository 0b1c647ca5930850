import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// One IKE SA (RFC 7296): events in, actions out. No socket, no clock.
///
/// The way of a message: the manager finds the session by SPI → `receive` → `IncomingMessage`: window
/// (`MessageWindow`), opened and put together from fragments (`MessageOpener`), message rules → as a response to the
/// exchange that is `active`, as a request to the responder's side of Exchanges/, which returns the payloads of the answer
/// → sealed, sent, kept for a repetition.
///
/// What it waits for is its `Phase`; what it wants to begin is in its `ExchangeQueue`, one exchange at a time; its
/// children are in its `ChildTable`.
package final class Session {
    /// Unique in this process; what swanctl calls the unique id.
    package let id: UInt32
    /// Our end of this IKE SA, or of the rekey that made it.
    package let role: IKERole
    package let initiatorSPI: UInt64
    /// 0: not yet.
    package private(set) var responderSPI: UInt64
    /// The connection; nil: the responder does not know yet which it will be.
    package internal(set) var connection: Connection?
    package internal(set) var path: Path

    var lifecycle: Lifecycle
    var window = MessageWindow()
    var exchanges = ExchangeQueue()
    var childTable = ChildTable()
    var opener = MessageOpener()
    var liveness: Liveness
    /// What is to be answered before anything else begins.
    var questions = Questions()
    /// The capabilities of the other side, as far as it said so.
    var peer = PeerCapabilities()
    var nat = NATSituation()
    /// SPIs of the peer that it has deleted here before it was decided that this IKE SA inherits the children.
    private var earlyDeletes: [SPI] = []

    init(
        id: UInt32, role: IKERole, initiatorSPI: UInt64, responderSPI: UInt64, connection: Connection?, path: Path,
        phase: Phase = .starting, now: Instant
    ) {
        self.id = id
        self.role = role
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.connection = connection
        self.path = path
        lifecycle = Lifecycle(phase)
        liveness = Liveness(now: now)
    }

    /// The port where negotiations begin (RFC 7296 section 2); from 4500 on there is a non-ESP marker.
    static let initialPort = IPsecPort.keyExchange
    static let encapsulationPort = IPsecPort.encapsulation

    // MARK: - Steps

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

    /// Begins the next exchange that is due, if the window is free.
    private func beginNextExchange(_ step: inout Step) {
        while window.outstanding == nil, questions.open == nil, phase.isOpen, step.closing == nil,
            var exchange = exchanges.next(at: step.now, where: phase.admits)
        {
            let first = exchange.begin(in: self, &step)
            proceed(&exchange, first, &step)
        }
    }

    /// Takes down what there is, and is over.
    private func close(_ reason: CloseReason, _ step: inout Step) {
        var last = status(at: step.now) { step.environment.usage(of: $0) }
        if reason.isByDeletion, isEstablished { last.state = .deleting }
        step.act(.ending(last))
        if let open = questions.take() { step.act(.withdraw(open.id)) }
        if var exchange = exchanges.finish() { exchange.abandoned(in: self, &step) }
        // What replaces this IKE SA has SAs for the same packets, and some may be under way in the old ones.
        let isReplaced = [.rekeyed, .reauthenticated, .superseded].contains(reason)
        childTable.sessionEnded(reason: reason.explanation.what, atOnce: !isReplaced, &step)
        exchanges.clear()
        window.completed()
        opener.forget()
        lifecycle.closed()
        step.act(.closed(reason))
    }

    var sender: MessageSender { MessageSender(session: self) }

    // MARK: - The negotiation of the IKE SA

    /// Learns from an IKE_SA_INIT about the peer and the path.
    func learn(from message: Message, path: Path, forced: Bool) {
        nat = NATDetection.situation(message, path: path, forced: forced)
        peer = PeerCapabilities(message)
    }

    /// IKE_SA_INIT is done. The initiator goes on at port 4500 when ESP is in UDP, unless the ports were chosen by
    /// configuration. `end`: by when the peer has to be done with IKE_AUTH; nil: we are the initiator.
    func agreed(on state: Authenticating, halfOpenUntil end: Instant?, _ step: Step) {
        responderSPI = state.agreement.responderSPI
        liveness.heard(at: step.now)
        step.environment.logKeys(state.protection.keys.keyLogLine)
        lifecycle.agreedOnKeys(state, halfOpenUntil: end)
        if role == .initiator, nat.isEncapsulated { path = path.floated }
    }

    /// IKE_AUTH is done; the times of the IKE SA begin.
    func isAuthenticated(local: Identity, remote: Identity, _ state: Authenticating, _ step: inout Step) {
        lifecycle.established(
            Established(state.protection, local: local, remote: remote, connection: connection, step))
        liveness.heard(at: step.now)
        state.agreement.selected.noteShortNonce(state.agreement.peerNonce, &step)
    }

    // MARK: - The rekey of the IKE SA

    /// A new IKE SA between the same peers, without children yet.
    func successor(
        _ established: Established, role: IKERole, initiatorSPI: UInt64, responderSPI: UInt64, _ step: Step
    ) -> Session {
        let new = Session(
            id: step.environment.uniqueID(), role: role, initiatorSPI: initiatorSPI, responderSPI: responderSPI,
            connection: connection, path: path, phase: .established(established), now: step.now)
        new.peer = peer
        new.nat = nat
        return new
    }

    /// `heir` has everything from now on; this one only waits for its end.
    func handOver(to heir: Session, _ step: inout Step) {
        var answer: [SPI] = []
        for peerSPI in heir.earlyDeletes where childTable.entry(peerSPI: peerSPI) != nil {
            InformationalRequest.childDeleted(peerSPI, in: self, answer: &answer, &step)
        }
        heir.earlyDeletes = []
        childTable.handOver(to: &heir.childTable)
        exchanges.handOver(to: &heir.exchanges)
        heir.lifecycle.tookOver()
        becameRedundant(&step)
        step.actAfterAnswer(.replaced(by: heir))
        let usage = { [environment = step.environment] in environment.usage(of: $0) }
        step.reportAfterAnswer(.rekeyed(new: heir.status(at: step.now, usage: usage)))
    }

    /// Nobody needs it any more.
    func becameRedundant(_ step: inout Step) {
        lifecycle.becameRedundant(until: step.now + RekeyTimes.grace(step.settings))
    }

    /// The peer knows already that this IKE SA inherits the children that it deletes; we do not.
    func keepEarlyDeletes(_ peerSPIs: [SPI], _ settings: ProtocolSettings) {
        earlyDeletes += peerSPIs.prefix(settings.maximumChildren - earlyDeletes.count)
    }

    // MARK: - The peer

    /// Something authentic and new of the peer came along `path`. From a place to which nothing of ours goes it is no sign
    /// that the peer hears us.
    func heard(on path: Path, _ step: inout Step) {
        follow(path, &step)
        if isFromItsPlace(path) { liveness.heard(at: step.now) }
    }

    /// Whether a message came from where ours go to, or may go to from now on.
    func isFromItsPlace(_ from: Path) -> Bool {
        !isEstablished || from.remote.address == path.remote.address
            || nat.follows(from: path.remote, to: from.remote)
    }

    /// The peer has moved, or its NAT has mapped it anew.
    private func follow(_ newPath: Path, _ step: inout Step) {
        guard newPath != path, nat.follows(from: path.remote, to: newPath.remote) else { return }
        // Before IKE_AUTH nobody was told of the path; the responder learns the port that the initiator floated to.
        guard isEstablished else {
            path = newPath
            return
        }
        // Never to port 500: ESP in UDP must not be there (section 2.23). Who asks from there is answered there.
        let isInitial = newPath.local.port == Self.initialPort || newPath.remote.port == Self.initialPort
        if nat.isEncapsulated, isInitial { return }
        let oldPath = path
        path = newPath
        childTable.move(to: newPath, &step)
        step.report(.moved(from: oldPath, to: newPath))
    }

    /// Asks the peer whether it lives. Whatever waits for an answer tells as much, and what waits to be sent is put off.
    func askForLife() {
        guard isEstablished, !exchanges.probes else { return }
        exchanges.add(LivenessExchange(), first: true)
    }

    // MARK: - What is begun

    func enqueueChild(_ child: Child, hint: TrafficSelector?, pair: SelectorPair? = nil) {
        if lifecycle.isInUse { exchanges.addChild(CreateChildExchange(child: child, hint: hint, pair: pair)) }
    }

    func enqueueDelete(childID: UInt32, reason: String) {
        guard childTable[childID] != nil, !exchanges.isDeleting(child: childID) else { return }
        if !exchanges.willDelete(child: childID) {
            exchanges.add(DeleteChildExchange(childID: childID, reason: reason))
        }
    }

    /// Before everything that waits, and instead of it.
    func enqueueDeleteIKE(_ reason: CloseReason) {
        if exchanges.addLast(DeleteIKEExchange(reason: reason)) { lifecycle.deletionBegan() }
    }

    // MARK: - Operations of the manager
    // Where nothing can be done, because the IKE SA is not up or is on its way out, the answer is no action.

    /// Begins to negotiate. The first of `children` goes with IKE_AUTH, the others follow; `hint` is the packet that
    /// calls for the first, `pair` the only one of its selectors that is asked for.
    package static func initiate(
        _ connection: Connection, children: [Child], hint: TrafficSelector? = nil, pair: SelectorPair? = nil,
        path: Path, environment: any SessionEnvironment
    ) -> (Session, [SessionAction]) {
        let session = Session(
            id: environment.uniqueID(), role: .initiator, initiatorSPI: environment.randomSPI(), responderSPI: 0,
            connection: connection, path: path, now: environment.now)
        let actions = session.step(environment) { step in
            guard let method = connection.proposals.first?.keyExchanges.first else {
                step.fail(Explanation("connection \(connection.name) has no proposal with a key exchange"))
                return
            }
            do throws(Refusal) {
                try InitialExchange(method, children: children, hint: hint, pair: pair, step).send(in: session, &step)
            } catch {
                step.fail(error.explanation)
            }
        }
        return (session, actions)
    }

    /// An IKE_SA_INIT request that no session has sent before and that the manager lets in (cookies, limits).
    /// `candidates`: the connections for the two addresses, best first; which one it is, IKE_AUTH shows. The session is
    /// nil when the request is refused.
    package static func respond(
        to received: ReceivedMessage, path: Path, candidates: [Connection], environment: any SessionEnvironment
    ) -> (Session?, [SessionAction]) {
        respond(
            to: received, path: path, candidates: CandidateSet(candidates),
            timeoutInSeconds: environment.settings.halfOpenTimeoutInSeconds, environment: environment)
    }

    /// The same with a set that is there already. `timeoutInSeconds`: how long the peer has for IKE_AUTH.
    static func respond(
        to received: ReceivedMessage, path: Path, candidates: CandidateSet, timeoutInSeconds: UInt64,
        environment: any SessionEnvironment
    ) -> (Session?, [SessionAction]) {
        var step = Step(environment)
        let session = InitialExchange.respond(
            to: received, path: path, candidates: candidates, timeoutInSeconds: timeoutInSeconds, &step)
        return (session, step.finish())
    }

    /// A message whose SPIs are this session's.
    package func receive(
        _ message: ReceivedMessage, path: Path, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in IncomingMessage(session: self, received: message, path: path).handle(&step) }
    }

    /// Does what is due. Called too early, it does nothing.
    package func deadlineReached(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in timer.run(&step) }
    }

    /// Nobody is to ask for the answer of a refused one any more.
    func forgetRefusal(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            if case .refused(_, let reason) = phase { step.close(reason) }
        }
    }

    /// Negotiates another child. `hint`: the packet that calls for it, which goes first; `pair`: the only one of the
    /// child's selectors that is asked for.
    package func create(
        _ child: Child, hint: TrafficSelector? = nil, pair: SelectorPair? = nil, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { _ in enqueueChild(child, hint: hint, pair: pair) }
    }

    /// Replaces the child of this number by one with fresh keys. `isDue`: a limit is near, so it is tried again when the
    /// peer refuses.
    package func rekeyChild(
        id: UInt32, isDue: Bool = false, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { _ in RekeyChildExchange.begin(childID: id, isDue: isDue, in: self) }
    }

    /// The child of this number has reached a hard limit: it is deleted at both ends, and made anew if it is wanted.
    package func expireChild(id: UInt32, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            if let entry = childTable[id] { timer.expire(entry, &step) }
        }
    }

    /// Replaces the IKE SA by one with fresh keys; the children go with it.
    package func rekeyIKE(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { _ in RekeyIKEExchange.begin(in: self) }
    }

    /// Deletes a child at both ends.
    package func deleteChild(
        id: UInt32, reason: String = "deleted", environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { _ in enqueueDelete(childID: id, reason: reason) }
    }

    /// Deletes the IKE SA at both ends; `closed` follows with the peer's answer, or when there is none. One that is not
    /// up is simply given up.
    package func delete(
        _ reason: CloseReason = .terminated, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in
            if isEstablished { enqueueDeleteIKE(reason) } else { step.close(reason) }
        }
    }

    /// Ends at once, without a word to the peer.
    package func abandon(_ reason: CloseReason, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in step.close(reason) }
    }

    /// Asks the peer whether it lives, unless it has to answer something anyway.
    package func probe(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { _ in askForLife() }
    }

    /// Sends the request that waits for its answer once more, between its ordinary repetitions.
    func repeatEarly(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            guard let request = window.outstanding else { return }
            step.act(.send(request.message.outgoing(path: path, repetition: Int(request.repetitions) + 1)))
        }
    }

    /// The peer's ESP comes from elsewhere: its NAT has mapped it anew (RFC 7296 section 2.23).
    package func follow(_ path: Path, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in follow(path, &step) }
    }

    // MARK: - Questions

    var phase: Phase { lifecycle.phase }

    private var timer: SessionTimer { SessionTimer(session: self) }

    /// The time at which `deadlineReached` has something to do; nil: nothing happens by itself.
    package var nextDeadline: Instant? { timer.next }

    package var isEstablished: Bool { lifecycle.isEstablished }

    /// Whether it is not on its way out: what begins now may come to an end.
    var isInUse: Bool { lifecycle.isInUse }

    /// The peer was refused in IKE_AUTH: only the answer is left, in case that it was lost.
    var isRefused: Bool { phase.isRefused }

    /// Whether the answer to IKE_SA_INIT is still to come.
    var awaitsFirstAnswer: Bool { if case .initial = phase { true } else { false } }

    /// The same, or that to IKE_AUTH.
    var awaitsNegotiation: Bool { awaitsFirstAnswer || phase.isAuthenticating && role == .initiator }

    /// The time at which an authentic message last came.
    var lastHeardAt: Instant { liveness.lastHeardAt }

    /// The CHILD_SAs that are installed, those on their way out included.
    package var children: [ChildSA] { childTable.all }

    /// The children of whose end there will be a report.
    package var currentChildren: [ChildSA] { childTable.reported }

    /// The time at which the IKE SA has to be authenticated anew; nil: never, or not yet known. The
    /// manager does it, with a new session.
    package var reauthenticateAt: Instant? { phase.established?.reauthenticateAt }

    /// The identities that the two sides have proved; nil before that.
    package var identities: (local: Identity, remote: Identity)? {
        phase.established.map { ($0.localIdentity, $0.remoteIdentity) }
    }

    /// The session as listings show it. `usage`: the counters of a child; nil when it is not installed.
    package func status(at now: Instant, usage: (ChildSA) -> ChildUsage?) -> IKESAStatus {
        IKESAStatus(self, at: now, usage: usage)
    }
}
