import IKEv2Messages
import Packets

/// The standing of the address that a message comes from. A peer that is known has slots and processor time that no stranger
/// can use up.
enum PeerStanding: Int, CaseIterable {
    /// A connection names exactly this address, by itself or by a host name, or an IKE SA is established with it.
    case known
    case stranger
}

/// The doors of the gateway: which peers may begin, what of it may cost how much, and what strangers may bring about in
/// answers and in the log.
///
/// A first request passes, in this order:
///
/// 1. a cookie, when there is reason to ask for one (RFC 7296 section 2.6). Nothing is remembered of a peer that has not
///    shown it, and next to nothing is done for it
/// 2. the limits of unfinished negotiations: in all, of strangers, by address and network; and of IKE SAs
/// 3. the processor time that is left for peers of its standing
final class Admission {
    /// The answer to a peer that wants to begin.
    enum Verdict {
        case admitted
        case cookie([UInt8])
        /// No answer.
        case refused
    }

    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    /// Nanoseconds that the calling thread has worked.
    private let processorTime: () -> UInt64

    private var work: AdmissionControl
    private var cookies = CookieJar()
    /// Sessions of peers that were refused in IKE_AUTH, the latest of them: all that is left of them is the answer.
    private var refused = RefusedSessions()
    /// First answers to strangers on our own links: each makes the kernel look for a neighbour, and remember one that is
    /// not there for minutes. Its table, of 1,024 by default, is everybody's.
    private var linkAnswers = RateLimiter(perSecond: 4, burst: 16)
    private var unprotectedErrors = RateLimiter(perSecond: 20, burst: 20)
    /// Warnings that peers can cause before they have proved who they are, of known peers and of strangers apart.
    private var complaints = PeerStanding.allCases.map { _ in RateLimiter(perSecond: 5, burst: 20) }
    /// The same by address: one peer's do not keep the others' out of the log.
    private var complaintsByAddress = AddressLimiter(perSecond: 1, burst: 5)
    /// Warnings that peers can cause that have proved who they are.
    private var tellings = AddressLimiter(perSecond: 2, burst: 32)
    /// Lines about messages of no session.
    private var strangerLines = RateLimiter(perSecond: 50, burst: 200)

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, processorTime: @escaping () -> UInt64
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.processorTime = processorTime
        work = AdmissionControl(context.settings)
    }

    func standing(of address: IPAddress) -> PeerStanding {
        connections.isNamed(address) || table.hasEstablished(at: address) ? .known : .stranger
    }

    func slot(of address: IPAddress) -> HalfOpenLimits.Slot {
        HalfOpenLimits.Slot(address: address, standing: standing(of: address))
    }

    // MARK: A peer begins

    /// Bytes of an IKE_SA_INIT request, which is kept until IKE_AUTH is done. RFC 7296 section 2 wants 3000 to be taken.
    private static let longestInitialRequest = 8192

    /// Whether a negotiation may begin with a first request.
    func judge(_ datagram: [UInt8], _ header: IKEHeader, path: Path, _ slot: HalfOpenLimits.Slot) -> Verdict {
        if context.isShuttingDown { return .refused }
        if datagram.count > Self.longestInitialRequest {
            remark("an IKE_SA_INIT request of \(datagram.count) bytes from \(path.remote) is too long", path)
            context.count.malformed += 1
            return .refused
        }
        let isOften = work.needsCookie(slot.standing, at: context.now)
        if isOften || table.halfOpen.count(slot.standing) >= context.settings.cookieThreshold {
            guard let evidence = CookieEvidence(initialRequest: datagram) else {
                remark("an IKE_SA_INIT request from \(path.remote) is malformed", path)
                context.count.malformed += 1
                return .refused
            }
            if !isOurs(evidence, header, path: path) {
                guard mayReach(path, slot.standing) else { return .refused }
                return cookie(evidence, header, path: path).map { .cookie($0) } ?? .refused
            }
        } else if !mayReach(path, slot.standing) {
            return .refused
        }
        return hasRoom(for: slot) ? .admitted : .refused
    }

    private func isOurs(_ evidence: CookieEvidence, _ header: IKEHeader, path: Path) -> Bool {
        guard let cookie = evidence.cookie else { return false }
        let isOurs = cookies.accepts(
            cookie, nonce: evidence.nonce, initiatorSPI: header.initiatorSPI, from: path.remote.address,
            at: context.now)
        if isOurs { context.count.cookiesAccepted += 1 } else { context.count.cookiesRejected += 1 }
        return isOurs
    }

    private func cookie(_ evidence: CookieEvidence, _ header: IKEHeader, path: Path) -> [UInt8]? {
        let cookie = cookies.cookie(
            nonce: evidence.nonce, initiatorSPI: header.initiatorSPI, from: path.remote.address, at: context.now)
        if cookie != nil { context.count.cookiesSent += 1 }
        return cookie
    }

    private func hasRoom(for slot: HalfOpenLimits.Slot) -> Bool {
        let halfOpen = table.halfOpen
        let settings = context.settings
        if halfOpen.total >= settings.maximumHalfOpen || halfOpen.count(slot.standing) >= room(for: slot.standing) {
            context.count.refusedHalfOpen += 1
            return false
        }
        if halfOpen.isFull(around: slot, share: settings.maximumHalfOpenPerAddress) {
            context.count.refusedHalfOpenPerAddress += 1
            return false
        }
        if table.count >= settings.maximumSessions {
            context.count.refusedSessions += 1
            return false
        }
        guard work.mayBegin(slot.standing, at: context.now) else {
            context.count.refusedForTime += 1
            return false
        }
        return true
    }

    /// Half-open negotiations that peers of a standing may have. The rest is kept for those that are known.
    private func room(for standing: PeerStanding) -> Int {
        let all = context.settings.maximumHalfOpen
        return standing == .known ? all : (all + 1) / 2
    }

    /// A stranger's time under load, in seconds (RFC 8019 section 4.2): IKE_AUTH follows at once, or once more after a
    /// second or three.
    private static let shortTimeout: UInt64 = 5

    /// Seconds that a peer has for its negotiation.
    func timeout(for standing: PeerStanding) -> UInt64 {
        let isLoaded = standing == .stranger && table.halfOpen.count(.stranger) >= room(for: .stranger) / 2
        let timeout = context.settings.halfOpenTimeoutInSeconds
        return isLoaded ? min(timeout, Self.shortTimeout) : timeout
    }

    // MARK: A negotiation goes on

    /// Whether there is time for a message of a negotiation that has begun.
    func mayGoOn(_ standing: PeerStanding) -> Bool {
        if work.mayGoOn(standing, at: context.now) { return true }
        context.count.refusedForTime += 1
        return false
    }

    /// Charges the processor time of `body`.
    func measure(_ standing: PeerStanding, _ body: () -> Void) {
        let begun = processorTime()
        body()
        let ended = processorTime()
        work.charge(.nanoseconds(ended > begun ? ended - begun : 0), to: standing, at: context.now)
    }

    /// The peer was refused. Its slot is free for others; the answer stays as long as there are not too many of them. The
    /// session that has to go for it, if any.
    func retire(_ record: SessionRecord) -> SessionRecord? {
        table.endHalfOpen(record)
        guard let oldest = refused.add(record.id).flatMap({ table[$0] }), oldest.session.isRefused else { return nil }
        return oldest
    }

    // MARK: Answers outside of any IKE SA

    /// Whether an answer may go to a peer that has not shown that it is there: on our own links only to few that are unknown.
    func mayReach(_ path: Path, _ standing: PeerStanding) -> Bool {
        if standing == .known || !context.output.needsNeighbour(path.remote.address)
            || linkAnswers.allow(at: context.now)
        {
            return true
        }
        context.count.answersHeldBack += 1
        return false
    }

    /// Whether an unprotected error may be sent. Each costs the address that is named as the sender a packet, so there are few.
    func maySendError(_ path: Path) -> Bool {
        guard unprotectedErrors.allow(at: context.now), mayReach(path, standing(of: path.remote.address)) else {
            context.count.unprotectedErrorsSuppressed += 1
            return false
        }
        context.count.unprotectedErrorsSent += 1
        return true
    }

    // MARK: Log

    /// Whether there is room in the log for what a peer has brought about without having proved who it is.
    func mayComplain(of address: IPAddress) -> Bool {
        complaintsByAddress.allow(address, now: context.now) {
            complaints[standing(of: address).rawValue].allow(at: context.now)
        }
    }

    /// The same for a peer that has proved it.
    func mayTell(of record: SessionRecord) -> Bool {
        if let slot = record.slot { return mayComplain(of: slot.address) }
        return tellings.allow(record.session.path.remote.address, now: context.now)
    }

    /// Whether there is room for a line about strangers that never came back.
    func mayTellOfStrangers() -> Bool { strangerLines.allow(at: context.now) }

    /// A line about a message of no session. Strangers can cause any number of them; of a flood not all are told.
    func report(_ line: @autoclosure () -> MessageLine, path: Path) {
        guard strangerLines.allow(at: context.now) else { return }
        context.report(ManagerEvent(ike: .none(path: path), event: .session(.message(line()))))
    }

    /// A debug record of what strangers send and nobody answers for; of a flood not all are told.
    func remark(_ text: @autoclosure () -> String, _ path: Path) {
        guard strangerLines.allow(at: context.now) else { return }
        context.report(ManagerEvent(ike: .none(path: path), event: .note(.debug, text())))
    }

    /// A warning that strangers can cause, so that it must not fill the log.
    func complain(_ text: @autoclosure () -> String, _ path: Path) {
        guard mayComplain(of: path.remote.address) else { return }
        context.report(ManagerEvent(ike: .none(path: path), event: .note(.warning, text())))
    }
}

/// Sessions of peers that were refused in IKE_AUTH, the latest of them. They hold no slot any more: all that is left of
/// them is the answer, in case that it was lost.
struct RefusedSessions {
    private var numbers: [UInt32] = []
    private var next = 0

    static let capacity = 256

    /// Takes one in; the number of the one that has to go for it, if any.
    mutating func add(_ id: UInt32) -> UInt32? {
        guard numbers.count >= Self.capacity else {
            numbers.append(id)
            return nil
        }
        let oldest = numbers[next]
        numbers[next] = id
        next = (next + 1) % Self.capacity
        return oldest
    }
}
