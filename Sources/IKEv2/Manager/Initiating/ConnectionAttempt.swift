import IPsec
import Packets

/// The attempt to bring an IKE SA up, with children or without, from its first try until it is established or given up.
///
///     waiting ── tried ──► resolving ── address known ──► negotiating ── established ──► over
///        ▲                     │ no way                       │ failed
///        └─────────────────────┴──────────────────────────────┘ as long as there are tries; else it is given up
final class ConnectionAttempt {
    /// One attempt at a time for each connection and peer.
    struct Key: Hashable {
        var connection: String
        /// The endpoint; nil: where the connection says.
        var remote: Endpoint?
    }

    /// A child that is to come with it.
    struct Wish: Hashable {
        var child: String
        /// The packet that called for it.
        var hint: TrafficSelector?

        init(_ child: String, hint: TrafficSelector? = nil) {
            self.child = child
            self.hint = hint
        }
    }

    enum State: Equatable {
        case resolving
        case negotiating
        /// Until this time.
        case waiting(until: Instant)
    }

    /// Seconds between first requests that go out while a tunnel is wanted, and between looks for a way.
    static let nudgeInSeconds: UInt64 = 3

    let key: Key
    /// The wishes; none: the IKE SA alone.
    private(set) var wishes: [Wish]
    /// The IKE SA that the new one is to replace.
    var predecessor: UInt32?
    /// The session that is being negotiated, or was by the last try.
    private(set) var sessionID: UInt32?
    private(set) var state = State.waiting(until: 0)
    /// Tries that were begun.
    private(set) var tries: UInt32 = 0
    /// Tries that did not get as far: the peer's address, or our own towards it, was not known.
    private(set) var looks: UInt32 = 0
    /// The configuration wants it: without a way to the peer it waits for one. Who asks by hand is told.
    private(set) var isStanding: Bool
    /// The configuration wants it up: tries end when it is, whatever `keyingtries` says.
    private(set) var isEndless: Bool
    /// Somebody has joined a try that was under way, and is to have a whole one.
    private(set) var isOwedTry = false
    /// Nobody answered the last try.
    private(set) var isUnanswered = false
    /// Why the last try failed, in the session's words.
    var explanation: Explanation?
    /// The way that the last try took; nil: none got as far.
    private(set) var path: Path?
    /// Seconds for which packets do not call for it again, once it is given up.
    var backoffInSeconds: UInt64?

    init(
        _ key: Key, _ wishes: [Wish], predecessor: UInt32? = nil, isStanding: Bool = false, isEndless: Bool = false
    ) {
        self.isStanding = isStanding
        self.isEndless = isEndless
        self.key = key
        self.wishes = wishes
        self.predecessor = predecessor
    }

    var isWaiting: Bool { if case .waiting = state { true } else { false } }

    /// Whether it waits because there was no way to the peer.
    var isLookingForWay: Bool { isWaiting && looks > 0 }

    /// Whether its time has come: a timer of an earlier pause means nothing.
    func isDue(at now: Instant) -> Bool { if case .waiting(let time) = state { time <= now } else { false } }

    // MARK: Wishes

    /// Others want more of it, or want it more.
    func join(_ more: [Wish], isStanding: Bool, isEndless: Bool) {
        for wish in more {
            if let index = wishes.firstIndex(where: { $0.child == wish.child }) {
                wishes[index].hint = wishes[index].hint ?? wish.hint
            } else {
                wishes.append(wish)
            }
        }
        self.isStanding = self.isStanding || isStanding
        self.isEndless = self.isEndless || isEndless
    }

    /// A child is no longer wanted.
    func leave(_ child: String?) { wishes.removeAll { $0.child == child } }

    // MARK: Tries

    func beginTry() {
        explanation = nil
        isUnanswered = false
        if tries < .max { tries += 1 }
    }

    func resolve() { state = .resolving }

    /// There is a way to the peer.
    func negotiate(on path: Path) {
        state = .negotiating
        looks = 0
        self.path = path
    }

    /// The session of the try.
    func began(_ session: UInt32) { sessionID = session }

    /// There was no way to the peer: that counts as no try.
    func foundNoWay() {
        tries -= 1
        if looks < .max { looks += 1 }
    }

    /// The session of the try is over.
    func ended(isUnanswered: Bool) { self.isUnanswered = isUnanswered }

    /// Somebody joins the try that is under way.
    func oweTry() { isOwedTry = true }

    /// True, once: the try that is owed comes now.
    func takeOwedTry() -> Bool {
        guard isOwedTry, isUnanswered else { return false }
        isOwedTry = false
        return true
    }

    func wait(until time: Instant) { state = .waiting(until: time) }

    /// Seconds before the next try: 1, 2, 4, … up to 32. Also with `keyingtries = 0` nobody is flooded. When nobody
    /// answers, which takes its time, it is 1, and without a way 3 at most: it may be back at any time.
    var pauseInSeconds: UInt64 {
        let pause: UInt64 = 1 << UInt64(min(max(looks > 0 ? looks : tries, 1) - 1, 5))
        if !isStanding { return pause }
        return looks > 0 ? min(pause, Self.nudgeInSeconds) : isUnanswered ? 1 : pause
    }
}
