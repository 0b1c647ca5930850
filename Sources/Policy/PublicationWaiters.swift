import Packets

/// Continuations that run as soon as every worker has seen a publication. They belong to the control thread, which never waits
/// for a worker: it calls `follow` every now and then, and does other work between.
///
/// A worker that does not get to a publication, because its core is taken from it, delays the continuations and nothing else.
/// They are not run before, however late it is: what that worker may still use must not be let go.
public struct PublicationWaiters {
    private struct Waiter {
        let publication: UInt64
        let since: Instant
        let body: () -> Void
        var isReported = false
    }

    /// What `follow` has found.
    public struct Findings {
        /// The continuations to be run now, in the order of their publications.
        public var ready: [() -> Void] = []
        /// The time for which the oldest of the others has waited, once that is longer than anyone should; nil when it is not, and
        /// when it was told before.
        public var late: Duration?
    }

    /// The oldest first.
    private var waiters: [Waiter] = []
    /// The time that a worker may take before it is told of.
    private let patience: Duration

    public init(patience: Duration) { self.patience = patience }

    public var isEmpty: Bool { waiters.isEmpty }

    /// Keeps what is to be done when all workers have seen a publication, which is the newest one.
    public mutating func add(_ publication: UInt64, now: Instant, _ body: @escaping () -> Void) {
        waiters.append(Waiter(publication: publication, since: now, body: body))
    }

    /// Takes out what has become ready. The caller runs it, after this, so that it may add others.
    public mutating func follow(now: Instant, isSeenByAll: (UInt64) -> Bool) -> Findings {
        var findings = Findings()
        let seen = waiters.prefix { isSeenByAll($0.publication) }
        findings.ready = seen.map(\.body)
        waiters.removeFirst(seen.count)
        guard let oldest = waiters.first, !oldest.isReported, now > oldest.since + patience else { return findings }
        waiters[0].isReported = true
        findings.late = now - oldest.since
        return findings
    }
}
