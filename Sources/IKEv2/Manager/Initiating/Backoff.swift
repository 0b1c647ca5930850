import IPsec
import Packets

/// Growing pauses between attempts at something that fails again and again: 1, 2, 4, … seconds up to a longest one. What
/// comes up ends the pause, and what then stays up ends the growth. Pure.
struct Backoff: Hashable, Sendable {
    /// Seconds for which something has to stay up so that its failures before that no longer count.
    static let steadyInSeconds: UInt64 = 60

    private(set) var failures: UInt32 = 0
    /// No attempt before this time.
    private(set) var until: Instant = 0
    private var upSince: Instant?

    /// One more failure; returns the seconds of the pause that it begins.
    @discardableResult
    mutating func failed(at now: Instant, longestInSeconds longest: UInt64) -> UInt64 {
        if isSteady(at: now) { failures = 0 }
        upSince = nil
        if failures < .max { failures += 1 }
        let pause = min(1 << UInt64(min(failures - 1, 32)), max(longest, 1))
        until = now + .seconds(pause)
        return pause
    }

    mutating func cameUp(at now: Instant) {
        until = 0
        if upSince == nil { upSince = now }
    }

    func isPausing(at now: Instant) -> Bool { now < until }

    /// Whether it came up and has stayed up since.
    func isSteady(at now: Instant) -> Bool {
        upSince.map { now >= $0 + .seconds(Self.steadyInSeconds) } ?? false
    }
}

/// Back-offs of everything that packets and peers make the gateway attempt: by connection, child and cause, so that a
/// failure of another kind, as after a change of the peer's configuration, begins with a short pause again.
final class BackoffTable {
    /// The subject of an attempt.
    struct Subject: Hashable {
        /// The child; nil: the IKE SA, so that all children of the connection wait.
        var child: String?
        /// One pair of the child's selectors; nil: all of them.
        var pair: TrafficSelector?
    }

    private struct Key: Hashable {
        var subject: Subject
        var cause: FailureCause
    }

    /// The back-offs by connection.
    private var backoffs: [String: [Key: Backoff]] = [:]

    /// Notes one more failure; returns the seconds of the pause that it begins.
    @discardableResult
    func failed(
        _ connection: String, child: String? = nil, pair: TrafficSelector? = nil, _ cause: FailureCause, at now: Instant
    ) -> UInt64 {
        let key = Key(subject: Subject(child: child, pair: pair), cause: cause)
        return backoffs[connection, default: [:]][key, default: Backoff()]
            .failed(at: now, longestInSeconds: cause.longestPauseInSeconds)
    }

    /// A child came up, with `pair` of its selectors at least, and with it the IKE SA.
    func cameUp(_ connection: String, child: String? = nil, pair: TrafficSelector? = nil, at now: Instant) {
        guard backoffs[connection] != nil else { return }
        for key in Self.keys(child, pair) {
            backoffs[connection]?[key]?.cameUp(at: now)
            if backoffs[connection]?[key]?.isSteady(at: now) == true { backoffs[connection]?[key] = nil }
        }
    }

    /// Whether an attempt has to wait, because of the IKE SA, of the child or of the pair.
    func isPausing(_ connection: String, child: String, pair: TrafficSelector? = nil, at now: Instant) -> Bool {
        guard let all = backoffs[connection] else { return false }
        return Self.keys(child, pair).contains { all[$0]?.isPausing(at: now) == true }
    }

    /// Somebody wants it now, or the configuration may have changed: everything begins anew.
    func forget(_ connection: String) { backoffs[connection] = nil }

    private static func keys(_ child: String?, _ pair: TrafficSelector?) -> [Key] {
        var subjects = [Subject(child: nil, pair: nil)]
        if child != nil { subjects.append(Subject(child: child, pair: nil)) }
        if child != nil, pair != nil { subjects.append(Subject(child: child, pair: pair)) }
        return subjects.flatMap { subject in FailureCause.allCases.map { Key(subject: subject, cause: $0) } }
    }
}

/// Kinds of failures that are counted apart.
package enum FailureCause: Hashable, Sendable, CaseIterable {
    /// AUTHENTICATION_FAILED, either way.
    case authentication
    /// NO_PROPOSAL_CHOSEN.
    case proposals
    /// TS_UNACCEPTABLE.
    case selectors
    /// SINGLE_PAIR_REQUIRED.
    case singlePair
    /// The peer's agreement leaves out the packet that wanted the SA.
    case notCovered
    /// No answer.
    case unanswered
    /// The SA was up, and the peer closed it.
    case closed
    case other

    /// A peer that does not answer may be there again at any moment, and the attempt has taken its time already. One that refuses will do
    /// so again until somebody changes a configuration.
    var longestPauseInSeconds: UInt64 { self == .unanswered ? 2 : 64 }
}
