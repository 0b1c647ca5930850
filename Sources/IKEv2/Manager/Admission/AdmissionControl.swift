import Packets

/// What is spent on negotiations that peers begin, apart for peers that are known and for strangers:
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
            case .known: WorkBudget(shareInPercent: 50, reserveInMilliseconds: 500)
            case .stranger:
                WorkBudget(shareInPercent: UInt64(settings.strangersShareInPercent), reserveInMilliseconds: 200)
            }
        }
    }

    /// Counts a request to begin, and tells whether it needs a cookie.
    mutating func needsCookie(_ standing: PeerStanding, at now: UInt64) -> Bool {
        let isOften = !requests[standing.rawValue].allow(now: now)
        return isOften || !budgets[standing.rawValue].hasRoom(at: now, within: .quarter)
    }

    /// Whether there is time for one that has shown its cookie, or needs none. Peers that are known are not turned away:
    /// nobody else can show their cookies.
    func mayBegin(_ standing: PeerStanding, at now: UInt64) -> Bool {
        standing == .known || budgets[standing.rawValue].hasRoom(at: now, within: .half)
    }

    /// Whether there is time for a message of a negotiation that has begun.
    func mayGoOn(_ standing: PeerStanding, at now: UInt64) -> Bool {
        standing == .known || budgets[standing.rawValue].hasRoom(at: now, within: .whole)
    }

    /// So much processor time went into a message.
    mutating func charge(_ nanoseconds: UInt64, to standing: PeerStanding, at now: UInt64) {
        budgets[standing.rawValue].charge(nanoseconds, at: now)
    }
}
