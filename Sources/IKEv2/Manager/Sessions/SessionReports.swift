/// The consequences of sessions' reports: counters, back-offs, memory, and the log. Whatever begins something new is
/// left for later, when the actions at hand are applied.
final class SessionReports {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let admission: Admission
    private let covers: Covers
    private let backoffs: BackoffTable
    private let narrowing: Narrowing
    private let memory: TunnelMemory
    private let peerCalls: PeerCalls
    private let terminations: Terminations
    private let replacements: Replacements
    private let keepalives: Keepalives

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, installer: ChildInstaller,
        admission: Admission, covers: Covers, backoffs: BackoffTable, narrowing: Narrowing, memory: TunnelMemory,
        peerCalls: PeerCalls, terminations: Terminations, replacements: Replacements, keepalives: Keepalives
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.admission = admission
        self.covers = covers
        self.backoffs = backoffs
        self.narrowing = narrowing
        self.memory = memory
        self.peerCalls = peerCalls
        self.terminations = terminations
        self.replacements = replacements
        self.keepalives = keepalives
    }

    /// The consequences of a report, and then the report itself.
    /// - Parameter closing: why the session is over after the actions at hand.
    func take(_ event: SessionEvent, of record: SessionRecord, closing: CloseReason?) {
        switch event {
        case .message: return context.report(ManagerEvent(ike: record.brief, event: .session(event)))
        case .note(let level, _):
            if level != .debug, !admission.mayTell(of: record) { return }
            return context.report(ManagerEvent(ike: record.brief, event: .session(event)))
        case .established(let initialContact): established(record, initialContact: initialContact)
        case .childUp(let sa): if !childUp(sa, of: record) { return }
        case .childDown(let sa, _): childDown(sa, of: record, closing: closing)
        case .childRekeyed(let old, let new): childRekeyed(old, by: new, of: record)
        case .childFailed(let name, let explanation):
            let isOurs = record.asked.awaited.contains(name)
            guard childFailed(name, explanation, of: record), isOurs || admission.mayTell(of: record) else { return }
        case .failed(let explanation):
            record.attempt?.explanation = explanation
            // Of a negotiation that a peer began: it may do so again and again.
            if let slot = record.slot, !admission.mayComplain(of: slot.address) { return }
        case .rekeyed: break
        case .moved:
            keepalives.begin(record)
            table.countAddresses(of: record)
        }
        context.report(ManagerEvent(ike: status(of: record, telling: event), event: .session(event)))
    }

    /// The session is about to end; that its children go is told after that.
    func ending(_ record: SessionRecord, _ status: IKESAStatus, _ reason: CloseReason?) {
        guard let reason, table[record.id] != nil else { return }
        record.last = status
        if reason != .halfOpenTimeout || admission.mayTellOfStrangers() {
            context.report(ManagerEvent(ike: status, event: .closed(reason)))
        }
    }

    // MARK: IKE SAs

    /// The peer has proved who it is.
    private func established(_ record: SessionRecord, initialContact: Bool) {
        context.count.established += 1
        let identities = record.session.identities.map { IdentityPair(local: $0.local, remote: $0.remote) }
        // Who proved its identity to another connection is another peer, whatever it calls itself.
        let earlier = (identities.map(table.sessions(between:)) ?? []).filter {
            $0.session.connection?.name == record.session.connection?.name
        }
        table.setEstablished(record, between: identities)
        record.establishedAt = context.now
        if let connection = record.session.connection { backoffs.cameUp(connection.name, at: context.now) }
        keepalives.begin(record)
        replacements.schedule(record)
        context.later(.established(record, earlier: earlier, initialContact: initialContact))
    }

    // MARK: CHILD_SAs

    /// False: it is up for the peer only, since it could not be installed.
    private func childUp(_ sa: ChildSA, of record: SessionRecord) -> Bool {
        guard installer.isUp(sa.inboundSPI) else { return false }
        context.count.childrenUp += 1
        record.replacement.renewed(sa.child.name)
        let call = record.asked.cameUp(sa.child.name)
        if call?.packet == nil { backoffs.cameUp(sa.connectionName, child: sa.child.name, at: context.now) }
        peerCalls.allow(sa.connectionName, sa.child.name)
        memory.remember(sa, hasKnownRemote: connections[sa.connectionName]?.hasKnownRemote ?? false)
        context.later(.childUp(sa, record, call))
        return true
    }

    private func childRekeyed(_ old: ChildSA, by new: ChildSA, of record: SessionRecord) {
        // It was to end when it was being rekeyed: what replaces it ends in its place.
        if record.unwantedChildren.remove(old.id) != nil {
            terminations.followChild(old.id, to: new.id)
            context.later(.endChild(new, record))
        }
        context.count.childrenRekeyed += 1
        record.replacement.renewed(old.child.name)
    }

    /// False: the peer is asked in another form, and there is nothing to tell yet.
    private func childFailed(_ name: String, _ explanation: Explanation, of record: SessionRecord) -> Bool {
        let (wasAwaited, call) = record.asked.failed(name)
        switch call.map({ narrowing.refused($0, name, explanation, in: record) }) ?? .none {
        case .inAnotherForm(let next, let child):
            record.asked.askAgain(name, next)
            context.later(.ask(next, child, record))
            return false
        case .nextPair(let next, let child):
            record.asked.askAgain(name, next)
            context.later(.ask(next, child, record))
            return true
        case .none: break
        }
        let connection = record.session.connection?.name ?? ""
        if wasAwaited, call?.stopgap == nil {
            let child = ChildName(connection: connection, child: name)
            let pair = call?.manner.pair == nil ? nil : covers.pair(of: child, holding: call?.packet)
            backoffs.failed(connection, child: name, pair: pair, explanation.cause, at: context.now)
        }
        let outcome: Result<Void, Explanation> = call?.stopgap == nil ? .failure(explanation) : .success(())
        context.later(.childFailed(name, outcome, record))
        return true
    }

    /// A CHILD_SA ended. When that was not our wish its `close_action` follows; when the whole session ends, that is
    /// looked at there.
    private func childDown(_ sa: ChildSA, of record: SessionRecord, closing: CloseReason?) {
        let isUnwanted = record.unwantedChildren.remove(sa.id) != nil || record.isUnwanted
        terminations.settle(child: sa.id)
        if !context.isShuttingDown { forget(sa, isUnwanted: isUnwanted, closing: closing) }
        if isUnwanted || context.isShuttingDown { return }
        if let closing {
            context.later(.childLost(sa, record, closing))
        } else if let child = connections.child(sa.child.name, of: sa.connectionName) {
            context.later(.childClosed(sa, child, record))
        }
    }

    /// Unless it is to come back.
    private func forget(_ sa: ChildSA, isUnwanted: Bool, closing: CloseReason?) {
        if closing != .peerDead { peerCalls.sawDeletion(sa.connectionName, at: context.now) }
        guard let connection = connections[sa.connectionName],
            let child = connection.children.first(where: { $0.name == sa.child.name })
        else { return memory.remove(sa) }
        if TunnelMemory.keeps(child, isUnwanted: isUnwanted, closing: closing) { return }
        if !installer.isUp(connection, child) { memory.remove(sa) }
    }

    // MARK: Status

    /// The status as listings show it; of one that is over, as it was before that.
    func status(of record: SessionRecord) -> IKESAStatus {
        record.last ?? record.session.status(at: context.now) { [installer] in installer.usage(of: $0) }
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
}

extension SessionRecord {
    /// For events that come with every message: who and where, nothing that has to be computed.
    var brief: IKESAStatus {
        IKESAStatus(
            id: id, connectionName: session.connection?.name ?? "",
            state: isEstablished ? .established : .connecting, isInitiator: session.role == .initiator,
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, path: session.path)
    }
}
