/// A `terminate` that waits until all it is about is gone.
final class Termination {
    var sessions: Set<UInt32> = []
    var children: Set<UInt32> = []
    let number: Int
    let outcome: (Result<Int, Explanation>) -> Void

    init(number: Int, outcome: @escaping (Result<Int, Explanation>) -> Void) {
        self.number = number
        self.outcome = outcome
    }

    var isDone: Bool { sessions.isEmpty && children.isEmpty }

    /// The IKE SA was rekeyed: the new one is meant.
    func follow(_ old: UInt32, to new: UInt32) {
        if sessions.remove(old) != nil { sessions.insert(new) }
    }

    /// The same of a CHILD_SA.
    func followChild(_ old: UInt32, to new: UInt32) {
        if children.remove(old) != nil { children.insert(new) }
    }
}

extension SessionManager {
    /// Ends all SAs that match. `outcome` is called once, with their number, when they are gone. Attempts to bring such
    /// an IKE SA up end too.
    /// - Parameter force: without waiting for the peers' answers.
    public func terminate(
        _ filter: SAFilter, force: Bool, at now: UInt64, outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        run(at: now) {
            forgetTunnels(filter)
            if filter.isAboutChildren {
                terminateChildren(filter, outcome)
            } else {
                terminateSessions(filter, force: force, outcome)
            }
        }
    }

    private func terminateSessions(
        _ filter: SAFilter, force: Bool, _ outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {
        var number = 0
        for attempt in Array(attempts.values) where isMeant(attempt, by: filter) {
            if attempt.state != .negotiating { number += 1 }
            giveUp(attempt, Explanation("terminated"))
        }
        let records = matching(filter)
        number += records.count
        if number == 0 { return outcome(.failure(Explanation("there is no IKE SA that matches"))) }
        let termination = Termination(number: number, outcome: outcome)
        termination.sessions = Set(records.map(\.id))
        terminations.append(termination)
        for record in records {
            end(record, .terminated)
            if force, table[record.id] != nil {
                apply(record.session.abandon(.terminated, environment: self), of: record)
            }
        }
        settleTerminations()
    }

    private func terminateChildren(_ filter: SAFilter, _ outcome: @escaping (Result<Int, Explanation>) -> Void) {
        let found = matching(filter).flatMap { record in
            record.session.currentChildren.filter(filter.matches).map { (record: record, sa: $0) }
        }
        let number = found.count + stopWaiting(for: filter)
        if number == 0 { return outcome(.failure(Explanation("there is no CHILD_SA that matches"))) }
        let termination = Termination(number: number, outcome: outcome)
        termination.children = Set(found.map(\.sa.id))
        terminations.append(termination)
        for (record, sa) in found { end(sa, of: record) }
        settleTerminations()
    }

    /// Takes a child out of attempts that wait for their time, and ends those that are for nothing else; their number.
    private func stopWaiting(for filter: SAFilter) -> Int {
        var number = 0
        for attempt in Array(attempts.values)
        where attempt.state != .negotiating && isMeant(attempt, by: filter) {
            number += 1
            let explanation = Explanation("terminated")
            if attempt.wishes.allSatisfy({ $0.child == filter.child }) {
                giveUp(attempt, explanation)
            } else {
                attempt.wishes.removeAll { $0.child == filter.child }
                settle(connection: attempt.key.connection, child: filter.child, .failure(explanation))
            }
        }
        return number
    }

    /// A child that is to end was being rekeyed when that was decided: what replaces it ends in its place.
    func followRekey(of old: ChildSA, by new: ChildSA, in record: SessionRecord) {
        guard record.unwantedChildren.remove(old.id) != nil else { return }
        for termination in terminations { termination.followChild(old.id, to: new.id) }
        afterwards { [self] in end(new, of: record) }
    }

    /// Crosses off what has ended, and tells those who wait for nothing else.
    func settleTerminations(session: UInt32? = nil, child: UInt32? = nil) {
        guard !terminations.isEmpty else { return }
        for termination in terminations {
            if let session { termination.sessions.remove(session) }
            if let child { termination.children.remove(child) }
        }
        let done = terminations.filter(\.isDone)
        terminations.removeAll(where: \.isDone)
        for termination in done { termination.outcome(.success(termination.number)) }
    }
}
