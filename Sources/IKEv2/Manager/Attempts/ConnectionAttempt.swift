import IPsec
import Packets

/// The wish for an IKE SA, from the first attempt until it is established or given up.
final class ConnectionAttempt {
    /// One attempt at a time for each connection and peer.
    struct Key: Hashable {
        var connection: String
        /// nil: where the connection says.
        var remote: Endpoint?
    }

    /// A child that is to come with it.
    struct Wish {
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
        /// Until this time, nanoseconds.
        case waiting(until: UInt64)
    }

    let key: Key
    /// None: the IKE SA alone.
    var wishes: [Wish]
    /// The IKE SA that the new one is to replace.
    var predecessor: UInt32?
    /// The session that is being negotiated.
    var sessionID: UInt32?
    /// Attempts that were begun.
    var tries: UInt32 = 0
    /// Attempts that did not get as far: the peer's address, or our own towards it, was not known.
    var looks: UInt32 = 0
    /// The configuration wants it: without a way to the peer it waits for one. Who asks by hand is told.
    var isStanding: Bool
    /// The configuration wants it up: attempts end when it is, whatever `keyingtries` says.
    var isEndless: Bool
    /// Somebody has joined an attempt that was under way, and is to have a whole one.
    var isOwedAttempt = false
    /// Nobody answered the last attempt.
    var isUnanswered = false
    var state = State.waiting(until: 0)
    /// Why the last attempt failed, in the session's words.
    var explanation: Explanation?
    /// Where the last attempt went; nil: none got as far.
    var path: Path?
    /// Seconds for which packets do not call for it again, once it is given up.
    var backoffInSeconds: UInt64?

    init(
        _ key: Key, _ wishes: [Wish], predecessor: UInt32?, isStanding: Bool = false, isEndless: Bool = false
    ) {
        self.isStanding = isStanding
        self.isEndless = isEndless
        self.key = key
        self.wishes = wishes
        self.predecessor = predecessor
    }

    func add(_ more: [Wish]) {
        for wish in more {
            if let index = wishes.firstIndex(where: { $0.child == wish.child }) {
                wishes[index].hint = wishes[index].hint ?? wish.hint
            } else {
                wishes.append(wish)
            }
        }
    }

    /// Seconds before the next attempt: 1, 2, 4, … up to 32. Also with `keyingtries = 0` nobody is flooded. When
    /// nobody answers, which takes its time, it is 1, and without a way 3 at most: it may be back at any time.
    var pauseInSeconds: UInt64 {
        let pause: UInt64 = 1 << UInt64(min(max(looks > 0 ? looks : tries, 1) - 1, 5))
        if !isStanding { return pause }
        return looks > 0 ? min(pause, SessionManager.nudgeInSeconds) : isUnanswered ? 1 : pause
    }
}

/// What a command waits for.
struct Waiter: Hashable {
    var connection: String
    /// nil: the IKE SA alone.
    var child: String?
}

extension SessionManager {
    /// Sees to it that children of a connection come up: in the IKE SA that is there, or in a new one.
    /// - Parameters:
    ///   - remote: where the peer is, when the connection does not say.
    ///   - isUrgent: not to wait for the time of the next attempt.
    ///   - afterAPause: to wait before the first attempt.
    ///   - isStanding: the configuration wants it.
    ///   - isEndless: until it is up, where the configuration says where the peer is.
    func bringUp(
        _ connection: Connection, _ wishes: [ConnectionAttempt.Wish], towards remote: Endpoint? = nil,
        isUrgent: Bool = false, afterAPause: Bool = false, isStanding: Bool = false, isEndless: Bool = false
    ) {
        guard !isShuttingDown else { return }
        let isEndless = isEndless && connection.hasKnownRemote
        let key = ConnectionAttempt.Key(
            connection: connection.name, remote: connection.hasKnownRemote ? nil : remote)
        let record = usableSession(of: connection, at: key.remote)
        // What is to replace an IKE SA is no concern of who can have that.
        if let attempt = attempts[key], !isReplacing(attempt) || record == nil {
            attempt.add(wishes)
            attempt.isStanding = attempt.isStanding || isStanding
            attempt.isEndless = attempt.isEndless || isEndless
            if isUrgent { hurry(attempt) }
        } else if let record {
            ask(wishes, in: record)
        } else if afterAPause {
            let attempt = ConnectionAttempt(
                key, wishes, predecessor: nil, isStanding: isStanding, isEndless: isEndless)
            attempts[key] = attempt
            pause(attempt)
        } else {
            begin(ConnectionAttempt(key, wishes, predecessor: nil, isStanding: isStanding, isEndless: isEndless))
        }
    }

    /// Whether it is to replace an IKE SA that is still there: one attempt, after which that one goes on.
    func isReplacing(_ attempt: ConnectionAttempt) -> Bool { attempt.predecessor.flatMap { table[$0] } != nil }

    func begin(_ attempt: ConnectionAttempt) {
        attempts[attempt.key] = attempt
        tryNow(attempt)
    }

    /// The newest IKE SA of the connection that can take on children.
    func usableSession(of connection: Connection, at remote: Endpoint?) -> SessionRecord? {
        table.sessions(of: connection.name).last { record in
            record.isEstablished && !record.isUnwanted && record.session.isInUse
                && record.session.connection == connection
                && (remote == nil || record.session.path.remote.address == remote?.address)
        }
    }

    /// Negotiates children in an established IKE SA, those left out that are under way already.
    func ask(_ wishes: [ConnectionAttempt.Wish], in record: SessionRecord) {
        for wish in wishes {
            guard let child = record.session.connection?.negotiated.first(where: { $0.name == wish.child }),
                let connection = record.session.connection, record.session.isInUse,
                record.awaitedChildren.insert(wish.child).inserted
            else { continue }
            record.requested.insert(wish.child)
            let call = call(for: wish, child, of: connection, on: record.session.path, in: record)
            ask(call, for: child, in: record)
        }
    }

    /// Established: what the session was not told at its beginning follows.
    func fulfil(_ record: SessionRecord) {
        guard let attempt = record.attempt else { return }
        record.attempt = nil
        attempts[attempt.key] = nil
        ask(attempt.wishes.filter { !record.begunWith.contains($0.child) }, in: record)
    }

    /// Tells who waits. `child` nil: of the IKE SA.
    func settle(connection: String, child: String?, _ result: Result<Void, Explanation>) {
        let outcomes = waiters.removeValue(forKey: Waiter(connection: connection, child: child)) ?? []
        for outcome in outcomes { outcome(result) }
    }
}

extension Connection {
    /// Whether some address or name is given to initiate to.
    var hasKnownRemote: Bool { remoteAddresses.contains(where: \.isDestination) }
}

extension AddressPattern {
    /// Whether one can initiate to it: an address or a name.
    var isDestination: Bool {
        if case .name = self { true } else { single != nil }
    }
}
