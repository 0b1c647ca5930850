/// What the manager waits for. Sessions and SAs are named by number: they may be gone when the time has come.
enum ManagerTimer {
    /// A session's own deadline.
    case session(UInt32)
    /// A NAT keepalive may be due.
    case keepalive(UInt32)
    /// The IKE SA is to be authenticated anew.
    case reauthenticate(UInt32)
    /// Replaced by a later IKE SA with the same peer (`unique = replace`).
    case supersede(UInt32)
    /// The inbound SA with this SPI has drained.
    case drain(UInt32)
    /// The outbound half that belongs to this inbound SPI waits for its turn.
    case takeOver(UInt32)
    /// A child that has lost its SA starts again.
    case restart(CoverTable.Owner, towards: Endpoint)
    /// Next attempt.
    case tryNow(ConnectionAttempt.Key)
    /// A first request may be due once more.
    case nudge(UInt32)
    /// A peer that is doubted is looked at again.
    case doubt(UInt32)
    /// Addresses that what children cover needs are looked for again.
    case addresses
}

extension SessionManager {
    /// Does what is due. To be called at `nextDeadline`, or every 10 ms: it costs nothing when nothing is due.
    public func advance(to now: UInt64) {
        run(at: now) {
            while let timer = timers.next(dueBy: self.now) { fire(timer) }
        }
    }

    /// When there is something to do next; nil: when something comes.
    public var nextDeadline: UInt64? { timers.first }

    private func fire(_ timer: ManagerTimer) {
        switch timer {
        case .session(let id):
            guard let record = table[id] else { return }
            record.queuedDeadline = nil
            if let deadline = record.session.nextDeadline, deadline <= now {
                apply(record.session.deadlineReached(environment: self), of: record)
            } else {
                schedule(record)
            }
        case .keepalive(let id): keepAlive(id)
        case .reauthenticate(let id): if let record = table[id] { reauthenticationIsDue(record) }
        case .supersede(let id): if let record = table[id] { end(record, .superseded) }
        case .drain(let spi): drained(spi)
        case .takeOver(let spi): if let child = children[spi] { takeOverIfUsed(child) }
        case .addresses: lookForAddresses()
        case .nudge(let id): if let record = table[id] { lookAfterFirstRequest(record) }
        case .doubt(let id): if let record = table[id] { lookAtDoubt(record) }
        case .restart(let owner, let remote): restart(owner, towards: remote)
        case .tryNow(let key):
            // A timer of an earlier pause means nothing.
            if let attempt = attempts[key], case .waiting(let time) = attempt.state, time <= now {
                tryNow(attempt)
            }
        }
    }

    /// Brings the session's deadline into the queue. An entry for an earlier time will do: it looks again. What a
    /// session could not do at its time is looked at every 10 ms.
    func schedule(_ record: SessionRecord) {
        guard table[record.id] != nil, let wanted = record.session.nextDeadline else { return }
        let deadline = max(wanted, now.addingWithoutOverflow(10_000_000))
        guard deadline < record.queuedDeadline ?? .max else { return }
        record.queuedDeadline = deadline
        timers.add(.session(record.id), at: deadline)
        sweepTimers()
    }

    /// Sessions that are gone leave their timers behind. They are swept out when they are most of the queue.
    private func sweepTimers() {
        guard timers.count > 1024, timers.count > 8 * (table.count + children.count) else { return }
        timers.keep { timer in
            switch timer {
            case .session(let id), .keepalive(let id), .reauthenticate(let id), .supersede(let id), .nudge(let id),
                .doubt(let id):
                table[id] != nil
            case .drain(let spi), .takeOver(let spi): children[spi] != nil
            case .tryNow(let key): attempts[key] != nil
            case .restart(let owner, _): restarts.isWaiting(owner)
            case .addresses: true
            }
        }
    }

    /// `seconds` from now, as far as there is such a time.
    func after(seconds: UInt64) -> UInt64 { now.addingWithoutOverflow(.seconds(seconds)) }
}
