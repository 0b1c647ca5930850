/// Processor time that may be spent on something: a share of all time, with a reserve for when much comes at once. What
/// has been spent is paid for as time goes by.
package struct WorkBudget {
    /// Of all time.
    let shareInPercent: UInt64
    /// Nanoseconds of work that may be unpaid.
    let reserve: UInt64
    /// When all work so far is paid for.
    private var paidAt: UInt64 = 0

    /// - Parameter shareInPercent: 1 to 100.
    package init(shareInPercent: UInt64, reserveInMilliseconds: UInt64) {
        self.shareInPercent = min(max(shareInPercent, 1), 100)
        reserve = reserveInMilliseconds * 1_000_000
    }

    /// Nanoseconds of work that are not paid for.
    func debt(at now: UInt64) -> UInt64 {
        guard paidAt > now else { return 0 }
        let (product, overflow) = (paidAt - now).multipliedReportingOverflow(by: shareInPercent)
        return overflow ? .max : product / 100
    }

    /// Nanoseconds until no more than the reserve is unpaid.
    package func wait(at now: UInt64) -> UInt64 {
        let debt = debt(at: now)
        guard debt > reserve else { return 0 }
        let (product, overflow) = (debt - reserve).multipliedReportingOverflow(by: 100)
        return overflow ? .max : product / shareInPercent + 1
    }

    /// Whether no more than a part of the reserve is in use.
    func hasRoom(at now: UInt64, within part: Part) -> Bool { debt(at: now) <= reserve / part.rawValue }

    /// How much of the reserve may be in use before something is no longer done.
    enum Part: UInt64 {
        case whole = 1
        case half = 2
        case quarter = 4
    }

    package mutating func charge(_ nanoseconds: UInt64, at now: UInt64) {
        let (product, overflow) = nanoseconds.multipliedReportingOverflow(by: 100)
        let cost = overflow ? .max : product / shareInPercent
        paidAt = max(paidAt, now).addingWithoutOverflow(cost)
    }
}
