import IPsec
import Packets

/// The CHILD_SAs that the dataplane has. Everything that is installed is known here until it is removed, whatever happens
/// to its session.
///
/// The way of a CHILD_SA: inbound half → outbound half, at once or when its turn has come → the outbound half goes → the
/// inbound half drains, or goes at once.
///
/// Two CHILD_SAs for the same packets on two IKE SAs with a peer, as reauthentication makes them (RFC 7296 section 2.8.3),
/// and a peer that has forgotten what it had, are twins. The peer that asked for the new one learns its SPI and algorithms
/// from our answer alone: what we sent by it before the peer has installed it would be lost. So the new SA receives at once
/// and sends when
///
///     - the peer sends by it, or begins another exchange in its IKE SA: it has our answer
///     - the peer answers in an IKE SA that the same answer of ours has made: we ask it whether it is there
///     - the peer does not answer in the old IKE SA for a second: it is asked there too where the answer in the new one proves
///       nothing
///     - the old one goes, or ten seconds are over
final class ChildInstaller {
    /// A CHILD_SA that the dataplane has, in one or both directions.
    private final class Installation {
        var sa: ChildSA
        /// The session that it belongs to; another one after a rekey of the IKE SA.
        var sessionID: UInt32
        var stage = Stage.receiving
        /// The peer that has its networks (`NetworkHolders`); nil where a connection is for one peer only.
        var peer: Identity?

        init(_ sa: ChildSA, sessionID: UInt32) {
            self.sa = sa
            self.sessionID = sessionID
        }

        var isSending: Bool { if case .sending = stage { true } else { false } }
        var isDraining: Bool { if case .draining = stage { true } else { false } }
        /// The wait of the outbound half for its turn; nil: it does not wait.
        var succession: Succession? { if case .waiting(let succession) = stage { succession } else { nil } }
        /// Both ends have it, whether or not our packets go through it yet.
        var isUp: Bool { isSending || succession != nil }
    }

    /// The stage of a CHILD_SA that the dataplane has: it is in one of them at a time, so that none that waits or drains
    /// can also send.
    private enum Stage {
        /// The inbound half alone is there.
        case receiving
        /// The outbound half waits for its turn.
        case waiting(Succession)
        /// Both halves are there.
        case sending
        /// Replaced or deleted: only packets under way still use the inbound half.
        case draining
    }

    /// An outbound half that waits until the peer is known to have the SA.
    private struct Succession {
        /// The time until which it waits.
        let endsAt: Instant
        let beganAt: Instant
        /// The answer that made the SA has made its IKE SA too.
        let isFirstOfSession: Bool
        /// The id of the peer's next request in that IKE SA.
        let nextRequestID: UInt32
        /// The time at which the peer was asked whether it is there; nil: not yet.
        var askedAt: Instant?
    }

    /// An SA that the dataplane did not take.
    struct Failure {
        let sa: ChildSA
        let sessionID: UInt32
        let error: InstallationError
    }

    /// The outcome of a look at an outbound half that waits for its turn.
    struct Look {
        /// IKE SAs whose peers are asked whether they are there.
        var questions: [UInt32] = []
        var failure: Failure?
    }

    /// Seconds that an outbound half waits at most: longer than the first repetitions of an unanswered request take.
    static let graceInSeconds: UInt64 = 10
    /// The time until it is first looked whether the peer uses the SA.
    private static let firstLook = Duration.milliseconds(10)
    /// The time until the peer is asked: what it does by itself is soon done.
    private static let pauseBeforeAsking = Duration.milliseconds(100)
    /// The time after which an old IKE SA without an answer counts as forgotten.
    private static let silence = Duration.milliseconds(800)

    private let context: ManagerContext
    private let table: SessionTable
    private let dataplane: any ChildDataplane
    private let requestIDs: RequestIDs
    /// The installations by our SPI.
    private var children: [SPI: Installation] = [:]
    /// Inbound SPIs by session, those that only drain left out.
    private var bySession: [UInt32: [SPI]] = [:]
    /// Inbound SPIs by the outbound ones that we send by: peers choose those, so several may have one.
    private var byOutboundSPI: [SPI: [SPI]] = [:]
    /// The networks that peers have, where a connection is for several.
    private var holders = NetworkHolders()
    /// Inbound SPIs of SAs that could not be installed, and that the peer still believes in.
    private var uninstalledSPIs: Set<SPI> = []

    init(context: ManagerContext, table: SessionTable, dataplane: any ChildDataplane, requestIDs: RequestIDs) {
        self.context = context
        self.table = table
        self.dataplane = dataplane
        self.requestIDs = requestIDs
    }

    // MARK: Coming

    func allocateSPI() throws(InstallationError) -> SPI { try dataplane.allocateSPI() }

    func releaseSPI(_ spi: SPI) { dataplane.releaseSPI(spi) }

    func hasRoom(for selectors: [TrafficSelector]) -> Bool { dataplane.hasRoom(for: selectors) }

    func installInbound(_ sa: ChildSA, of record: SessionRecord) -> Failure? {
        do throws(InstallationError) {
            try dataplane.installInbound(sa)
        } catch {
            requestIDs.abandon(sa.requestID)
            // The peer may use it until it is told: nobody else gets the SPI before.
            uninstalledSPIs.insert(sa.inboundSPI)
            return Failure(sa: sa, sessionID: record.id, error: error)
        }
        let child = Installation(sa, sessionID: record.id)
        requestIDs.use(sa.requestID)
        if let peer = record.session.identities?.remote ?? record.identities?.remote,
            record.session.connection?.remote.identity.isPattern == true
        {
            child.peer = peer
            holders.add(sa, of: peer)
        }
        children[sa.inboundSPI] = child
        bySession[record.id, default: []].append(sa.inboundSPI)
        return nil
    }

    func installOutbound(_ sa: ChildSA) -> Failure? {
        // Without its inbound half the SA has failed already.
        guard let child = children[sa.inboundSPI], !child.isDraining else { return nil }
        do throws(InstallationError) {
            try dataplane.installOutbound(sa)
        } catch {
            return Failure(sa: sa, sessionID: child.sessionID, error: error)
        }
        if !child.isSending { byOutboundSPI[sa.outboundSPI, default: []].append(sa.inboundSPI) }
        child.stage = .sending
        return nil
    }

    /// The peer asked for the SA. Without another one for the same packets it sends from now on.
    func installOutboundWhenUsed(_ sa: ChildSA, of record: SessionRecord) -> Failure? {
        guard let child = children[sa.inboundSPI], !child.isDraining else { return nil }
        guard twins(of: child).contains(where: \.isSending) else { return installOutbound(sa) }
        child.stage = .waiting(
            Succession(
                endsAt: context.after(seconds: Self.graceInSeconds), beganAt: context.now,
                isFirstOfSession: record.establishedAt.map { $0 == context.now } ?? true,
                nextRequestID: record.session.window.expectedRequestID))
        context.wake(.takeOver(sa.inboundSPI), at: context.now + Self.firstLook)
        return nil
    }

    /// Looks whether the turn of an outbound half has come; looks get rarer.
    func takeOverIfUsed(_ spi: SPI) -> Look {
        guard let child = children[spi], var succession = child.succession else { return Look() }
        let now = context.now
        if now >= succession.endsAt || isReady(child, succession) { return Look(failure: takeOver(child)) }
        var look = Look()
        if succession.askedAt == nil, now >= succession.beganAt + Self.pauseBeforeAsking {
            succession.askedAt = now
            child.stage = .waiting(succession)
            // An initiator that has not seen our answer answers nothing in the new IKE SA.
            look.questions =
                succession.isFirstOfSession ? [child.sessionID] : Set(twins(of: child).map(\.sessionID)).sorted()
        }
        let next = now + (max(Self.firstLook, (now - succession.beganAt) / 8))
        context.wake(.takeOver(spi), at: min(next, succession.endsAt))
        return look
    }

    /// Whether the peer is known to have the new SA, or not to have the old one any more.
    private func isReady(_ child: Installation, _ succession: Succession) -> Bool {
        if dataplane.usage(of: child.sa).map({ $0.inboundPackets > 0 }) ?? false { return true }
        guard let session = table[child.sessionID]?.session else { return false }
        if session.window.expectedRequestID > succession.nextRequestID { return true }
        if succession.isFirstOfSession { return session.lastHeardAt > succession.beganAt }
        guard let askedAt = succession.askedAt, context.now >= askedAt + Self.silence else {
            return false
        }
        // Whatever came in the old IKE SA since then, or by its SAs, says that the peer has them.
        return twins(of: child).allSatisfy { twin in
            let heard = table[twin.sessionID].map(\.session.lastHeardAt) ?? 0
            return max(heard, dataplane.usage(of: twin.sa)?.lastInbound ?? 0) <= askedAt
        }
    }

    private func takeOver(_ child: Installation) -> Failure? {
        child.stage = .receiving
        return table[child.sessionID] == nil ? nil : installOutbound(child.sa)
    }

    // MARK: Going

    /// An SA sends no more: those that waited for it take its place, unless there is yet another.
    func removeOutbound(_ sa: ChildSA) -> [Failure] {
        guard let child = children[sa.inboundSPI] else { return [] }
        let wasSending = child.isSending
        if child.isUp { child.stage = .receiving }
        guard wasSending else { return [] }
        byOutboundSPI[child.sa.outboundSPI]?.removeAll { $0 == sa.inboundSPI }
        if byOutboundSPI[child.sa.outboundSPI]?.isEmpty == true { byOutboundSPI[child.sa.outboundSPI] = nil }
        var failures: [Failure] = []
        for twin in twins(of: child) where twin.succession != nil {
            if twins(of: twin).contains(where: \.isSending) { continue }
            if let failure = takeOver(twin) { failures.append(failure) }
        }
        dataplane.removeOutbound(child.sa)
        return failures
    }

    /// - Parameter atOnce: nothing can be under way any more.
    func removeInbound(_ sa: ChildSA, atOnce: Bool) -> [Failure] {
        guard let child = children[sa.inboundSPI] else {
            if uninstalledSPIs.remove(sa.inboundSPI) != nil { dataplane.releaseSPI(sa.inboundSPI) }
            return []
        }
        // The peer may have moved its traffic to the same SA on another IKE SA a moment ago.
        if atOnce && !twins(of: child).contains(where: \.isUp) || context.settings.drainInSeconds == 0 {
            return remove(child)
        }
        if child.isDraining { return [] }
        let failures = removeOutbound(sa)
        child.stage = .draining
        forget(child)
        context.wake(.drain(sa.inboundSPI), at: context.after(seconds: context.settings.drainInSeconds))
        return failures
    }

    /// The time of a drain is over.
    func drained(_ spi: SPI) -> [Failure] {
        guard let child = children[spi], child.isDraining else { return [] }
        return remove(child)
    }

    /// Takes out what is left of a session, at once; returns what that was.
    func removeAll(of record: SessionRecord) -> (removed: [ChildSA], failures: [Failure]) {
        var removed: [ChildSA] = []
        var failures: [Failure] = []
        for child in (bySession[record.id] ?? []).compactMap({ children[$0] }) {
            failures += remove(child)
            removed.append(child.sa)
        }
        return (removed, failures)
    }

    /// Both directions, at once.
    private func remove(_ child: Installation) -> [Failure] {
        let failures = removeOutbound(child.sa)
        dataplane.removeInbound(child.sa)
        forget(child)
        children[child.sa.inboundSPI] = nil
        requestIDs.endUse(child.sa.requestID)
        return failures
    }

    /// The SA is no longer its session's concern.
    private func forget(_ child: Installation) {
        let spi = child.sa.inboundSPI
        if let peer = child.peer { holders.remove(child.sa, of: peer) }
        child.peer = nil
        bySession[child.sessionID]?.removeAll { $0 == spi }
        if bySession[child.sessionID]?.isEmpty == true { bySession[child.sessionID] = nil }
    }

    // MARK: Changing

    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {
        guard let child = children[sa.inboundSPI] else { return }
        dataplane.move(child.sa, to: path, isEncapsulated: isEncapsulated)
        child.sa.path = path
        child.sa.isEncapsulated = isEncapsulated
    }

    /// The IKE SA was rekeyed: the new one has those children now.
    func inherit(_ inherited: [ChildSA], from old: SessionRecord, to new: SessionRecord) {
        let meant = Set(inherited.map(\.inboundSPI))
        let all = bySession[old.id] ?? []
        let moved = all.filter(meant.contains)
        if moved.isEmpty { return }
        let rest = all.filter { !meant.contains($0) }
        bySession[old.id] = rest.isEmpty ? nil : rest
        bySession[new.id] = moved
        for spi in moved { children[spi]?.sessionID = new.id }
    }

    // MARK: Questions

    /// CHILD_SAs that are installed, those included that only drain.
    var count: Int { children.count }

    func isInstalled(_ spi: SPI) -> Bool { children[spi] != nil }

    /// Both ends have it, and it does not go.
    func isUp(_ spi: SPI) -> Bool { children[spi]?.isUp ?? false }

    /// The SA with this SPI, if it is more than a draining one, and its session.
    func find(_ spi: SPI) -> (sa: ChildSA, record: SessionRecord)? {
        guard let child = children[spi], !child.isDraining, let record = table[child.sessionID] else { return nil }
        return (child.sa, record)
    }

    /// The session of an SA that we send by to a peer.
    func session(sendingBy outboundSPI: SPI, to address: IPAddress) -> SessionRecord? {
        for child in (byOutboundSPI[outboundSPI] ?? []).compactMap({ children[$0] })
        where child.sa.path.remote.address == address {
            return table[child.sessionID]
        }
        return nil
    }

    /// Another peer that has a CHILD_SA of this connection for one of the networks.
    func holder(of selectors: [TrafficSelector], connection: Connection, besides peer: Identity) -> Identity? {
        guard connection.remote.identity.isPattern else { return nil }
        return holders.holder(of: selectors.map(\.destination), connection: connection.name, besides: peer)
    }

    func usage(of sa: ChildSA) -> ChildUsage? { dataplane.usage(of: sa) }

    /// Whether an authentic message or packet of the peer came after some time.
    func isHeard(_ record: SessionRecord, since: Instant) -> Bool {
        record.session.lastHeardAt > since || lastInbound(of: record) > since
    }

    /// The time at which a packet last came by one of a session's CHILD_SAs; 0: never.
    func lastInbound(of record: SessionRecord) -> Instant {
        record.session.children.compactMap { dataplane.usage(of: $0)?.lastInbound }.max() ?? 0
    }

    /// CHILD_SAs of a session that carry traffic, or will.
    func liveChildren(of record: SessionRecord) -> [ChildSA] {
        record.session.children.filter { isUp($0.inboundSPI) }
    }

    /// The SAs of one child that stay.
    func live(_ child: String, in record: SessionRecord) -> [ChildSA] {
        liveChildren(of: record).filter { $0.child.name == child && !record.unwantedChildren.contains($0.id) }
    }

    /// Whether an IKE SA of the connection is there and stays, with a CHILD_SA of the child if one is given.
    func isUp(_ connection: Connection, _ child: Child?) -> Bool {
        table.newestSession(of: connection.name) { record in
            guard record.isEstablished, !record.isUnwanted, record.session.connection == connection else {
                return false
            }
            return child.map { !live($0.name, in: record).isEmpty } ?? true
        } != nil
    }

    /// SAs of the same child with the same selectors, on other IKE SAs between the same two. A peer that is elsewhere now
    /// has lost those that it had before.
    private func twins(of child: Installation) -> [Installation] {
        guard let record = table[child.sessionID], let identities = record.identities else { return [] }
        let others = table.sessions(between: identities)
        if others.count < 2 { return [] }
        return others.filter { $0.id != record.id }.flatMap { bySession[$0.id] ?? [] }.compactMap { children[$0] }
            .filter { other in
                other.sa.connectionName == child.sa.connectionName && other.sa.child.name == child.sa.child.name
                    && other.sa.path.remote.address == child.sa.path.remote.address
                    && Set(other.sa.selectors) == Set(child.sa.selectors)
            }
    }
}
