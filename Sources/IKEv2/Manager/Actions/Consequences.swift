extension SessionManager {
    /// What follows from what a session reports, and the report itself.
    /// - Parameter closing: why the session is over after the actions at hand.
    func conclude(_ event: SessionEvent, of record: SessionRecord, closing: CloseReason?) {
        switch event {
        case .message: return output.report(ManagerEvent(ike: record.brief, event: .session(event)))
        case .note(let level, _):
            if level != .debug, !mayTell(of: record) { return }
            return output.report(ManagerEvent(ike: record.brief, event: .session(event)))
        case .established(let initialContact): established(record, initialContact: initialContact)
        case .childUp(let sa): if !childUp(sa, of: record) { return }
        case .childDown(let sa, _): childDown(sa, of: record, closing: closing)
        case .childRekeyed(let old, _):
            count.childrenRekeyed += 1
            record.unreplaced.remove(old.child.name)
        case .childFailed(let name, let explanation):
            let isOurs = record.awaitedChildren.contains(name)
            guard childFailed(name, explanation, of: record), isOurs || mayTell(of: record) else { return }
        case .failed(let explanation):
            record.attempt?.explanation = explanation
            // Of a negotiation that a peer began: it may do so again and again.
            if let slot = record.slot, !mayComplain(of: slot.address) { return }
        case .rekeyed: break
        case .moved:
            beginKeepalives(record)
            table.countAddress(of: record)
        }
        output.report(ManagerEvent(ike: status(of: record, telling: event), event: .session(event)))
    }

    /// As listings show it; of one that is over, as it was before that.
    func status(of record: SessionRecord) -> IKESAStatus {
        record.last ?? record.session.status(at: now) { [dataplane] in dataplane.usage(of: $0) }
    }

    /// The same for a report: of children that go, only those that it is about are in it, as they were.
    private func status(of record: SessionRecord, telling event: SessionEvent) -> IKESAStatus {
        var status = status(of: record)
        if record.departed.isEmpty { return status }
        let meant: [UInt32]
        switch event {
        case .childDown(let sa, _): meant = [sa.id]
        case .childRekeyed(let old, let new): meant = [old.id, new.id]
        default: return status
        }
        status.children = meant.compactMap { id in
            record.departed[id] ?? status.children.first { $0.sa.id == id }
        }
        return status
    }

    /// False: it is up for the peer only, since it could not be installed.
    private func childUp(_ sa: ChildSA, of record: SessionRecord) -> Bool {
        guard let child = children[sa.inboundSPI], child.isUp else { return false }
        count.childrenUp += 1
        record.awaitedChildren.remove(sa.child.name)
        record.unreplaced.remove(sa.child.name)
        let call = record.calls.removeValue(forKey: sa.child.name)
        if call?.packet == nil { backoffs.cameUp(sa.connectionName, child: sa.child.name, at: now) }
        remember(sa)
        afterwards { [self] in
            if call.map({ pursue($0, sa, in: record) }) != true {
                let outcome = call?.failure.map { Result<Void, Explanation>.failure($0) }
                settle(connection: sa.connectionName, child: sa.child.name, outcome ?? .success(()))
            }
            // The configuration of the child may have changed while the SA was negotiated.
            if connectionTable[sa.connectionName]?.children.contains(sa.child) == false { end(sa, of: record) }
            finishReplacement(record)
        }
        return true
    }

    /// False: the peer is asked in another form, and there is nothing to tell yet.
    private func childFailed(_ name: String, _ explanation: Explanation, of record: SessionRecord) -> Bool {
        let wasAwaited = record.awaitedChildren.remove(name) != nil
        let call = wasAwaited ? record.calls.removeValue(forKey: name) : nil
        let sequel = call.map { pursue($0, refused: name, explanation, in: record) } ?? .none
        if sequel != .none { return sequel == .nextPair }
        let connection = record.session.connection?.name ?? ""
        if wasAwaited, call?.stopgap == nil {
            let owner = CoverTable.Owner(connection: connection, child: name)
            let pair = call?.manner.pair == nil ? nil : coveredPair(owner, call?.packet)
            backoffs.failed(connection, child: name, pair: pair, explanation.cause, at: now)
        }
        afterwards { [self] in
            settle(
                connection: connection, child: name,
                call?.stopgap == nil ? .failure(explanation) : .success(()))
            finishReplacement(record)
        }
        return true
    }

    /// A CHILD_SA ended. When that was not our wish its `close_action` follows; when the whole session ends, that is
    /// looked at there.
    private func childDown(_ sa: ChildSA, of record: SessionRecord, closing: CloseReason?) {
        let isUnwanted = record.unwantedChildren.remove(sa.id) != nil || record.isUnwanted
        settleTerminations(child: sa.id)
        forgetDown(sa, isUnwanted: isUnwanted, closing: closing)
        if isUnwanted || isShuttingDown { return }
        if let closing {
            afterwards { [self] in recover(sa, of: record, closing) }
        } else if let child = connectionTable.child(sa.child.name, of: sa.connectionName) {
            afterwards { [self] in act(child.closeAction, for: sa, child, record) }
        }
    }
}
