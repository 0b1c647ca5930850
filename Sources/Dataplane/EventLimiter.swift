import Packets

/// Keeps a worker from telling the same over and over: what happens per packet is told once in a while, so that a flood
/// cannot fill the ring of events, nor one policy's packets keep those of another from being told of.
///
/// A table of a few recent subjects, each in the one place that its number hashes to, and a budget for each kind. What
/// could not be told (the ring was full) does not count as told. Neighbours have a limiter of their own.
struct EventLimiter: ~Copyable {
    private struct Subject {
        var key: UInt64
        /// When it may be told again, nanoseconds.
        var due: UInt64
    }

    private let subjects: UnsafeMutablePointer<Subject>
    private let interval: UInt64
    private let seed: UInt64
    private var acquireBudget: RateLimiter
    private var mappingBudget: RateLimiter
    private var unknownBudget: RateLimiter

    private static var size: Int { 256 }

    /// `interval`: nanoseconds.
    init(interval: UInt64) {
        self.interval = interval
        seed = .random(in: 0 ... .max)
        subjects = .allocate(capacity: Self.size)
        subjects.initialize(repeating: Subject(key: 0, due: 0), count: Self.size)
        // Together less than half a ring of events; the control loop empties it a hundred times a second.
        acquireBudget = RateLimiter(perSecond: 2_000, burst: 32)
        mappingBudget = RateLimiter(perSecond: 2_000, burst: 32)
        unknownBudget = RateLimiter(perSecond: 500, burst: 32)
    }

    deinit { subjects.deallocate() }

    /// Whether to tell now. `now` is nanoseconds of the dataplane's clock.
    func isDue(_ kind: WorkerEvent.Kind, number: UInt32, now: UInt64) -> Bool {
        let key = Self.key(kind, number)
        let subject = subjects[place(of: key)]
        if subject.key == key, now < subject.due { return false }
        switch kind {
        case .acquire: return acquireBudget.hasToken(now: now)
        case .unknownSPI: return unknownBudget.hasToken(now: now)
        case .mappingChanged, .neighbourWanted: return mappingBudget.hasToken(now: now)
        }
    }

    /// It was told.
    mutating func told(_ kind: WorkerEvent.Kind, number: UInt32, now: UInt64) {
        switch kind {
        case .acquire: _ = acquireBudget.allow(now: now)
        case .unknownSPI: _ = unknownBudget.allow(now: now)
        case .mappingChanged, .neighbourWanted: _ = mappingBudget.allow(now: now)
        }
        let key = Self.key(kind, number)
        subjects[place(of: key)] = Subject(key: key, due: now &+ interval)
    }

    private static func key(_ kind: WorkerEvent.Kind, _ number: UInt32) -> UInt64 {
        // No key is 0, which is that of an empty place.
        (UInt64(kind.rawValue) &+ 1) << 32 | UInt64(number)
    }

    private func place(of key: UInt64) -> Int {
        Int(truncatingIfNeeded: ((key ^ seed) &* 0x9E37_79B9_7F4A_7C15) &>> 56) & (Self.size &- 1)
    }
}
