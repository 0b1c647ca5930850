import IPsec

/// Children that start again because they have lost their SA (`close_action`, `dpd_action`): at once, but where that
/// happens again and again after a short life, after pauses that grow. A peer that deletes what it has just agreed to
/// would otherwise be negotiated with as fast as messages go back and forth.
struct Restarts {
    private struct Entry {
        var backoff = Backoff()
        /// It has started again at once, since an SA lived long.
        var hasStartedAtOnce = false
        var isWaiting = false
    }

    private var entries: [CoverTable.Owner: Entry] = [:]

    private static let longestPauseInSeconds: UInt64 = 64

    /// Seconds until the child of an SA that has lived for `life` nanoseconds starts again: 0, 1, 2, 4, … up to 64. nil:
    /// it waits for that already.
    mutating func pause(of owner: CoverTable.Owner, life: UInt64, at now: UInt64) -> UInt64? {
        var entry = entries[owner] ?? Entry()
        if entry.isWaiting { return nil }
        if life >= .seconds(Backoff.steadyInSeconds) { entry = Entry() }
        let pause =
            entry.hasStartedAtOnce
            ? entry.backoff.failed(at: now, longestInSeconds: Self.longestPauseInSeconds) : 0
        entry.hasStartedAtOnce = true
        entry.isWaiting = pause > 0
        entries[owner] = entry
        return pause
    }

    /// Its time has come. False: it was not waiting any more.
    mutating func end(_ owner: CoverTable.Owner) -> Bool {
        guard entries[owner]?.isWaiting == true else { return false }
        entries[owner]?.isWaiting = false
        return true
    }

    func isWaiting(_ owner: CoverTable.Owner) -> Bool { entries[owner]?.isWaiting ?? false }

    /// The child is not loaded any more, or not as it was.
    mutating func forget(_ owner: CoverTable.Owner) { entries[owner] = nil }
}

extension SessionManager {
    /// A child starts again in the place of an SA that has ended.
    func restart(_ child: Child, of connection: Connection, after sa: ChildSA, in record: SessionRecord) {
        let owner = CoverTable.Owner(connection: connection.name, child: child.name)
        let remote = record.session.path.remote
        guard let pause = restarts.pause(of: owner, life: now - min(sa.establishedAt, now), at: now) else { return }
        if pause == 0 { return startAgain(child, of: connection, towards: remote) }
        timers.add(.restart(owner, towards: remote), at: after(seconds: pause))
        note(
            .info, "child \(child.name) has ended soon after it came up, and starts again in \(pause) s",
            connection: connection.name)
    }

    /// The pause is over.
    func restart(_ owner: CoverTable.Owner, towards remote: Endpoint) {
        guard restarts.end(owner), let connection = connectionTable[owner.connection],
            let child = connection.negotiated.first(where: { $0.name == owner.child })
        else { return }
        startAgain(child, of: connection, towards: remote)
    }

    private func startAgain(_ child: Child, of connection: Connection, towards remote: Endpoint) {
        // A peer that has authenticated anew, or began when we did, has made another one before it deleted this.
        if isShuttingDown || isUp(connection, child) { return }
        bringUp(
            connection, [ConnectionAttempt.Wish(child.name)], towards: remote, isStanding: true, isEndless: true)
    }
}
