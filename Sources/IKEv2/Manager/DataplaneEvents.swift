import IPsec

extension SessionManager {
    /// The dataplane wants something.
    public func handle(_ event: DataplaneEvent, at now: UInt64) {
        run(at: now) {
            switch event {
            case .acquire(let requestID, let packet): acquire(requestID, packet)
            case .softLimit(let spi):
                guard let (sa, record) = find(spi) else { return }
                apply(record.session.rekeyChild(id: sa.id, isDue: true, environment: self), of: record)
            case .hardLimit(let spi):
                guard let (sa, record) = find(spi) else { return }
                let text = "CHILD_SA \(sa.child.name) has reached a hard limit and is deleted"
                output.report(ManagerEvent(ike: record.brief, event: .note(.warning, text)))
                apply(record.session.expireChild(id: sa.id, environment: self), of: record)
            case .mappingChanged(let spi, let remote):
                guard let (sa, record) = find(spi), record.session.path.remote != remote else { return }
                var path = Path(local: sa.path.local, remote: remote)
                // A peer that has kept IKE on port 500 sends ESP in UDP to 4500 all the same.
                if path.local.port == Session.initialPort { path.local.port = Session.encapsulationPort }
                apply(record.session.follow(path, environment: self), of: record)
            case .unknownSPI(_, let address): answerUnknownESP(from: address)
            case .unanswered(let spi):
                if let (_, record) = find(spi) { doubtUnanswered(record) }
            }
        }
    }

    /// The SA with this SPI, if it is more than a draining one, and its session.
    private func find(_ spi: UInt32) -> (sa: ChildSA, record: SessionRecord)? {
        guard let child = children[spi], !child.isDraining, let record = table[child.sessionID] else { return nil }
        return (child.sa, record)
    }

    /// A packet calls for an SA: of all children that it may be for, since the peer of one may be gone.
    private func acquire(_ requestID: UInt32, _ packet: TrafficSelector?) {
        guard !isShuttingDown else { return }
        for cover in covers.called(by: requestID, packet) {
            guard let connection = connectionTable[cover.connectionName],
                connection.children.contains(where: { $0.name == cover.child.name })
            else { continue }
            let owner = CoverTable.Owner(connection: cover.connectionName, child: cover.child.name)
            let pair = coveredPair(owner, packet)
            if isUnderWay(owner, packet)
                || backoffs.isPausing(owner.connection, child: owner.child, pair: pair, at: now)
            {
                count.acquiresSuppressed += 1
                nudge(connection)
            } else {
                bringUp(connection, [ConnectionAttempt.Wish(owner.child, hint: packet)], isStanding: true)
            }
        }
    }

    /// Whether an SA for the packet is being negotiated, or came up while the event was on its way.
    private func isUnderWay(_ owner: CoverTable.Owner, _ packet: TrafficSelector?) -> Bool {
        let isAttempted = attempts.contains { key, attempt in
            key.connection == owner.connection && attempt.wishes.contains { $0.child == owner.child }
        }
        return isAttempted
            || table.sessions(of: owner.connection).contains { record in
                record.awaitedChildren.contains(owner.child)
                    || record.installed.compactMap { children[$0] }.contains { child in
                        child.isUp && child.sa.child.name == owner.child && !record.isUnwanted
                            && !record.unwantedChildren.contains(child.sa.id)
                            && (packet.map { packet in child.sa.selectors.contains { $0.contains(packet) } } ?? true)
                    }
            }
    }
}
