import IKEv2Messages
import Packets

/// The trust in a peer that may have lost an IKE SA: how far it has been asked, and until when it is believed.
///
///     trusted ── doubt ──► asked ── no answer ──► asked again, twice ── no answer ──► silent
///        ▲                   │ refused: asked once more, and not for as long             │
///        └───── heard ───────┴───────────────────────────────────────────────────────────┘ its successor is negotiated
struct Trust {
    private struct Doubt {
        /// The time at which it began.
        let since: Instant
        /// Repetitions of the question so far.
        var repetitions = 0
        /// Something said, without proof, that the question was not understood.
        var isRefused = false

        /// The time at which a refusal is acted on.
        var refusalCountsAt: Instant { since + Trust.waitWhenRefused }

        /// Whether the peer has had its time.
        func isOver(at now: Instant) -> Bool {
            repetitions + 1 >= Trust.waits.count || isRefused && now >= refusalCountsAt
        }
    }

    /// The outcome of a look at a doubt.
    enum Verdict: Equatable {
        case trusted
        /// The question is repeated, and looked at again at this time.
        case asked(nextLook: Instant)
        /// The peer was not heard since this time.
        case silent(since: Instant)
    }

    /// The times to wait after the question and after each repetition: a peer that has the SA answers within that time,
    /// unless the way is bad.
    static let waits: [Duration] = [.milliseconds(200), .milliseconds(300), .milliseconds(400)]
    /// The same in all when the question is refused: a peer that has the SA answers in spite of whoever says so.
    static let waitWhenRefused = Duration.milliseconds(300)
    /// Seconds before a peer that has answered is doubted again.
    static let trustInSeconds: UInt64 = 10
    /// The same after its packets have come and stayed away once more.
    static let shortTrustInSeconds: UInt64 = 2

    private var doubt: Doubt?
    /// Before that time it is not doubted again.
    private var until: Instant = 0

    /// Since when it is doubted; nil: it is not.
    var doubtedSince: Instant? { doubt?.since }

    func mayBeDoubted(at now: Instant) -> Bool { doubt == nil && now >= until }

    /// Notes that it is asked now; returns when to look whether it has answered.
    mutating func ask(at now: Instant) -> Instant {
        doubt = Doubt(since: now)
        return now + Self.waits[0]
    }

    /// The question was refused without proof; when to look, nil: nothing is new in that.
    mutating func refused(at now: Instant) -> Instant? {
        guard let doubt, !doubt.isRefused else { return nil }
        self.doubt?.isRefused = true
        return max(doubt.refusalCountsAt, now)
    }

    /// - Parameter isHeard: the peer has sent something since it was asked, or its answer does not matter any more.
    mutating func look(at now: Instant, isHeard: Bool) -> Verdict? {
        guard var doubt else { return nil }
        guard !isHeard, !doubt.isOver(at: now) else {
            self.doubt = nil
            until = now + .seconds(Self.trustInSeconds)
            return isHeard ? .trusted : .silent(since: doubt.since)
        }
        doubt.repetitions += 1
        self.doubt = doubt
        return .asked(nextLook: now + Self.waits[doubt.repetitions])
    }

    /// Packets have come by its CHILD_SAs since it was trusted, and stay away once more.
    mutating func shorten(lastInbound: Instant, at now: Instant) {
        guard until > now, lastInbound > until - .seconds(Self.trustInSeconds) else { return }
        until = min(until, lastInbound + .seconds(Self.shortTrustInSeconds))
    }
}

/// Questions whether peers still have their IKE SAs, answered within a second (RFC 7296 section 2.4). The reasons to ask can
/// be made up by anybody, so they are never believed themselves: an answer, or anything else that only the peer can send, ends
/// the doubt. Without one the IKE SA is negotiated anew beside the old one, which goes when the new one is there. When it was
/// the way that was bad, nothing comes of that, and the old one lives on.
final class Doubts {
    /// Packets of one way alone are a reason to ask where silence is one soon: this is the longest `dpd_delay`, in seconds.
    private static let longestDelay: UInt64 = 60

    private let context: ManagerContext
    private let table: SessionTable
    private let installer: ChildInstaller
    private let driver: SessionDriver
    /// Checks of peers that something unproved has been said of.
    private var questions = RateLimiter(perSecond: 50, burst: 200)
    /// Unprotected notices that may cost a search.
    private var notices = RateLimiter(perSecond: 20, burst: 50)

    init(context: ManagerContext, table: SessionTable, installer: ChildInstaller, driver: SessionDriver) {
        self.context = context
        self.table = table
        self.installer = installer
        self.driver = driver
    }

    // MARK: Unprotected notices

    // INVALID_SPI (RFC 7296 section 1.5) and INVALID_IKE_SPI (section 2.21.4) say that an SA is not known. Anybody can send
    // them: they are a reason to ask the peer, if they come from its address, and no more.

    /// A message for an IKE SA of ours.
    func takeHint(_ message: ReceivedMessage, path: Path, about record: SessionRecord) {
        guard record.isEstablished, let type = message.plainMessage?.errorNotify?.type,
            type == .invalidIKESPI || type == .invalidSPI,
            path.remote.address == record.session.path.remote.address
        else { return }
        if record.trust.doubtedSince != nil { return shorten(record) }
        doubt(record)
    }

    /// A message for no IKE SA: about an ESP SA that we send by.
    func takeNotice(_ datagram: [UInt8], path: Path) {
        guard table.hasEstablished(at: path.remote.address), notices.allow(at: context.now),
            let notify = (try? ReceivedMessage(decoding: datagram))?.plainMessage?.errorNotify,
            notify.type == .invalidSPI, let spi = SPI(bytes: notify.data)
        else { return }
        if let record = installer.session(sendingBy: spi, to: path.remote.address) { doubt(record) }
    }

    // MARK: Silence

    /// We send, and nothing comes back. Of peers whose silence is to be noticed that is asked after (RFC 7296 section 2.4:
    /// "it is essential to confirm liveness").
    func packetsAreUnanswered(_ record: SessionRecord) {
        guard let delay = record.session.connection?.dpdDelay, 1...Self.longestDelay ~= delay else { return }
        let recently = context.now - .milliseconds(500)
        let lastInbound = installer.lastInbound(of: record)
        if max(record.session.lastHeardAt, lastInbound) > recently { return }
        record.trust.shorten(lastInbound: lastInbound, at: context.now)
        doubt(record)
    }

    // MARK: Questions

    /// Something that anybody could have made up says that the peer does not know the IKE SA.
    private func doubt(_ record: SessionRecord) {
        guard record.isEstablished, !record.isUnwanted, !record.replacement.isUnderWay, !context.isShuttingDown,
            record.trust.mayBeDoubted(at: context.now), questions.allow(at: context.now)
        else { return }
        context.count.peersDoubted += 1
        let look = record.trust.ask(at: context.now)
        if record.session.window.outstanding != nil {
            driver.apply(record.session.repeatEarly(environment: driver.environment), of: record)
        } else {
            driver.apply(record.session.probe(environment: driver.environment), of: record)
        }
        context.wake(.doubt(record.id), at: look)
    }

    /// The question was answered without protection by INVALID_IKE_SPI: it is asked once more, and not for as long.
    private func shorten(_ record: SessionRecord) {
        guard let look = record.trust.refused(at: context.now) else { return }
        driver.apply(record.session.repeatEarly(environment: driver.environment), of: record)
        context.wake(.doubt(record.id), at: look)
    }

    /// The time of a look has come. Since when the peer is silent, if it is: a successor is wanted.
    func look(at record: SessionRecord) -> Instant? {
        guard let since = record.trust.doubtedSince else { return nil }
        let isHeard = record.isUnwanted || installer.isHeard(record, since: since)
        switch record.trust.look(at: context.now, isHeard: isHeard) {
        case .trusted, nil: return nil
        case .silent(let since): return since
        case .asked(let next):
            driver.apply(record.session.repeatEarly(environment: driver.environment), of: record)
            context.wake(.doubt(record.id), at: next)
            return nil
        }
    }
}
