import IPsec

// What comes after a CHILD_SA that leaves out what it was asked for, or that the peer refuses in the form in which it was
// asked for (RFC 7296 section 2.9). A peer may narrow what is offered, and peers that keep a policy for each pair of
// networks do. Then it is asked once more, with the one pair that holds the packet; if that is not enough, packets wait.
extension SessionManager {
    /// How to ask for a child on an IKE SA that is there, or will be.
    func call(
        for wish: ConnectionAttempt.Wish, _ child: Child, of connection: Connection, on path: Path,
        in record: SessionRecord?
    ) -> ChildCall {
        let habit = habits[CoverTable.Owner(connection: connection.name, child: child.name)]
        let hasNarrower = record.map { live(child, in: $0) }?.isEmpty == false
        if let packet = wish.hint, habit == .onePair || hasNarrower,
            let pair = child.pair(holding: packet, on: path)
        {
            return ChildCall(packet, .pair(pair))
        }
        if wish.hint == nil, habit == .onePair, let call = ChildCall(pairs: child.pairs(on: path)) { return call }
        return ChildCall(wish.hint, wish.hint != nil && habit != .plain ? .hinted : .plain)
    }

    /// Sends a question for a child that is awaited.
    func ask(_ call: ChildCall, for child: Child, in record: SessionRecord) {
        record.calls[child.name] = call
        apply(
            record.session.create(child, hint: call.hint, pair: call.manner.pair, environment: self), of: record)
    }

    /// A child came up. True: the peer is asked for more, and who waits for the child goes on waiting.
    func pursue(_ call: ChildCall, _ sa: ChildSA, in record: SessionRecord) -> Bool {
        guard let child = connectionTable.child(sa.child.name, of: sa.connectionName), child == sa.child,
            table[record.id] != nil, record.isEstablished, !record.isUnwanted, !isShuttingDown
        else { return false }
        let owner = CoverTable.Owner(connection: sa.connectionName, child: child.name)
        let pair = call.packet.flatMap { child.pair(holding: $0, on: sa.path) }
        if let packet = call.packet, !sa.selectors.contains(where: { $0.contains(packet) }) {
            return narrowed(call, sa, pair, packet, child, in: record)
        }
        backoffs.cameUp(owner.connection, child: owner.child, pair: coveredPair(owner, call.packet), at: now)
        if let packet = call.packet, call.manner == .hinted, habits[owner] != .flows, let pair,
            sa.selectors.allSatisfy({ packet.contains($0) }), pair.selector(on: sa.path) != sa.selectors.first
        {
            var next = ChildCall(packet, .pair(pair))
            next.lesson = .onePair
            next.stopgap = sa.id
            return askAgain(next, "takes child \(child.name) for a single flow", child, in: record)
        }
        if let lesson = call.lesson { habits[owner] = lesson }
        if let stopgap = record.session.children.first(where: { $0.id == call.stopgap }), sa.covers(stopgap) {
            end(stopgap, of: record)
        }
        guard let next = call.accepted.next else { return false }
        record.awaitedChildren.insert(child.name)
        ask(next, for: child, in: record)
        return true
    }

    /// The SA that came up is not for the packet that called for it.
    private func narrowed(
        _ call: ChildCall, _ sa: ChildSA, _ pair: SelectorPair?, _ packet: TrafficSelector, _ child: Child,
        in record: SessionRecord
    ) -> Bool {
        if let pair, call.manner.pair == nil {
            var next = ChildCall(packet, .pair(pair))
            next.lesson = .onePair
            return askAgain(next, "narrows child \(child.name) to \(sa.selectorText)", child, in: record)
        }
        let owner = CoverTable.Owner(connection: sa.connectionName, child: child.name)
        let pause = backoffs.failed(
            owner.connection, child: owner.child, pair: coveredPair(owner, packet), .notCovered, at: now)
        note(
            .warning,
            "the peer narrows child \(child.name) to \(sa.selectorText), which leaves out packets from "
                + "\(packet.source.first) to \(packet.destination.first); packets ask again in \(pause) s. Let the peer's "
                + "configuration cover them, or take them out of local_ts and remote_ts",
            connection: sa.connectionName, path: record.session.path)
        // One more of the same is of no use to anybody.
        let isSpare = live(child, in: record).contains { $0.id != sa.id && $0.covers(sa) }
        if isSpare { end(sa, of: record) }
        return false
    }

    /// What follows from a refusal.
    enum Sequel {
        /// The peer is asked in another form: that it refused this one is not worth telling.
        case inAnotherForm
        /// The next pair is asked for.
        case nextPair
        case none
    }

    func pursue(
        _ call: ChildCall, refused name: String, _ explanation: Explanation, in record: SessionRecord
    ) -> Sequel {
        guard let connection = record.session.connection, table[record.id] != nil, record.isEstablished,
            !record.isUnwanted, !isShuttingDown,
            let child = connection.children.first(where: { $0.name == name })
        else { return .none }
        if let next = call.after(explanation.cause, of: child, on: record.session.path) {
            _ = askAgain(next, "refuses child \(name) as it was asked for", child, in: record)
            return .inAnotherForm
        }
        if call.stopgap != nil {
            habits[CoverTable.Owner(connection: connection.name, child: name)] = .flows
            return .none
        }
        guard let next = call.refused(explanation).next else { return .none }
        record.awaitedChildren.insert(name)
        afterwards { [self] in
            if table[record.id] != nil { ask(next, for: child, in: record) }
        }
        return .nextPair
    }

    private func askAgain(_ call: ChildCall, _ what: String, _ child: Child, in record: SessionRecord) -> Bool {
        guard let connection = record.session.connection else { return false }
        let form = call.manner.pair.map { "for \($0) alone" } ?? "without the packet that calls for it"
        note(
            .info, "the peer \(what); it is asked once more, \(form)", connection: connection.name,
            path: record.session.path)
        record.awaitedChildren.insert(child.name)
        record.calls[child.name] = call
        afterwards { [self] in
            guard table[record.id] != nil else { return }
            ask(call, for: child, in: record)
        }
        return true
    }

    /// CHILD_SAs of a child that carry traffic, or will, and stay.
    func live(_ child: Child, in record: SessionRecord) -> [ChildSA] {
        liveChildren(of: record).filter { $0.child.name == child.name && !record.unwantedChildren.contains($0.id) }
    }

    /// The pair of what a child covers that a packet belongs to: by it a back-off is told from others.
    func coveredPair(_ owner: CoverTable.Owner, _ packet: TrafficSelector?) -> TrafficSelector? {
        packet.flatMap { packet in covers[owner]?.selectors.first { $0.contains(packet) } }
    }
}
