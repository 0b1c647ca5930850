import Packets

/// The processor time that is spent on negotiations that peers begin, apart for peers that are known and for strangers:
///
/// 1. Requests are counted before anything is looked at, refused ones too. When there are many, when much time has
///    gone into them, or when many negotiations are unfinished, the peer has to return a cookie (RFC 7296 section 2.6).
/// 2. A stranger that did is let in while strangers have processor time left; it is measured, so that the dearest groups
///    count for what they cost.
/// 3. What has a slot already may go on longer than new ones may begin.
struct AdmissionControl {
    private var requests: [RateLimiter]
    private var budgets: [WorkBudget]

    init(_ settings: ProtocolSettings) {
        let rate = settings.cookieRate
        requests = PeerStanding.allCases.map { _ in RateLimiter(perSecond: rate, burst: max(rate, 1)) }
        budgets = PeerStanding.allCases.map { standing in
            switch standing {
            case .known: WorkBudget(shareInPercent: 50, reserve: .milliseconds(500))
            case .stranger:
                WorkBudget(shareInPercent: settings.strangersShareInPercent, reserve: .milliseconds(200))
            }
        }
    }

    /// Counts a request to begin, and tells whether it needs a cookie.
    mutating func needsCookie(_ standing: PeerStanding, at now: Instant) -> Bool {
        let isOften = !requests[standing.rawValue].allow(at: now)
        return isOften || !budgets[standing.rawValue].hasRoom(at: now, within: .quarter)
    }

    /// Whether there is time for one that has shown its cookie, or needs none. Peers that are known are not turned away:
    /// nobody else can show their cookies.
    func mayBegin(_ standing: PeerStanding, at now: Instant) -> Bool {
        standing == .known || budgets[standing.rawValue].hasRoom(at: now, within: .half)
    }

    /// Whether there is time for a message of a negotiation that has begun.
    func mayGoOn(_ standing: PeerStanding, at now: Instant) -> Bool {
        standing == .known || budgets[standing.rawValue].hasRoom(at: now, within: .whole)
    }

    /// Processor time went into a message.
    mutating func charge(_ work: Duration, to standing: PeerStanding, at now: Instant) {
        budgets[standing.rawValue].charge(work, at: now)
    }
}

/// Processor time that may be spent on something: a share of all time, with a reserve for when much comes at once. What
/// has been spent is paid for as time goes by.
package struct WorkBudget {
    /// The share of all time.
    let shareInPercent: Int
    /// Work that may be unpaid.
    let reserve: Duration
    /// The time at which all work so far is paid for.
    private var paidAt: Instant = 0

    /// - Parameter shareInPercent: 1 to 100.
    package init(shareInPercent: Int, reserve: Duration) {
        self.shareInPercent = min(max(shareInPercent, 1), 100)
        self.reserve = reserve
    }

    /// Work that is not paid for.
    func debt(at now: Instant) -> Duration { max(paidAt - now, .zero) * shareInPercent / 100 }

    /// The time until no more than the reserve is unpaid.
    package func wait(at now: Instant) -> Duration {
        let debt = debt(at: now)
        return debt > reserve ? (debt - reserve) * 100 / shareInPercent + .nanoseconds(1) : .zero
    }

    /// Whether no more than a part of the reserve is in use.
    func hasRoom(at now: Instant, within part: Part) -> Bool { debt(at: now) <= reserve / part.rawValue }

    /// The part of the reserve that may be in use before something is no longer done.
    enum Part: Int {
        case whole = 1
        case half = 2
        case quarter = 4
    }

    package mutating func charge(_ work: Duration, at now: Instant) {
        paidAt = max(paidAt, now) + work * 100 / shareInPercent
    }
}
