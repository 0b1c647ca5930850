import IPsec

/// The questions after a CHILD_SA that leaves out what it was asked for, or that the peer refuses in the form in which it
/// was asked for (RFC 7296 section 2.9). A peer may narrow what is offered, and peers that keep a policy for each pair of
/// networks do. Then it is asked once more, with the one pair that holds the packet; if that is not enough, packets wait.
/// What was learned of a peer is kept for the next time.
final class Narrowing {
    /// The sequel of a CHILD_SA that came up.
    enum Sequel {
        /// The peer is asked for more, and commands that wait for the child go on waiting.
        case ask(ChildCall, Child)
        /// The same, once the actions at hand are applied.
        case askLater(ChildCall, Child)
        /// The end: nothing more is asked.
        case none
    }

    /// The sequel of a refusal.
    enum RefusalSequel {
        /// The peer is asked in another form: that it refused this one is not worth telling.
        case inAnotherForm(ChildCall, Child)
        /// The next pair is asked for.
        case nextPair(ChildCall, Child)
        case none
    }

    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let installer: ChildInstaller
    private let covers: Covers
    private let backoffs: BackoffTable
    private var habits: [ChildName: ChildCall.Habit] = [:]

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, installer: ChildInstaller,
        covers: Covers, backoffs: BackoffTable
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.installer = installer
        self.covers = covers
        self.backoffs = backoffs
    }

    /// The way to ask for a child, on an IKE SA that is there or on one that will be.
    func call(
        for wish: ConnectionAttempt.Wish, _ child: Child, of connection: Connection, on path: Path,
        in record: SessionRecord?
    ) -> ChildCall {
        let selectors = record.map { context.selectors(of: $0.session) } ?? SelectorContext(path)
        let habit = habits[ChildName(connection: connection.name, child: child.name)]
        let hasNarrower = record.map { !installer.live(child.name, in: $0).isEmpty } ?? false
        if let packet = wish.hint, habit == .onePair || hasNarrower,
            let pair = child.pair(holding: packet, in: selectors)
        {
            return ChildCall(packet, .pair(pair))
        }
        if wish.hint == nil, habit == .onePair, let call = ChildCall(pairs: child.pairs(in: selectors)) { return call }
        return ChildCall(wish.hint, wish.hint != nil && habit != .plain ? .hinted : .plain)
    }

    /// Connections were loaded: nothing is known of the peers' ways with their children, and of those that are gone.
    func forget(_ given: Set<String>) {
        habits = habits.filter { name, _ in
            !given.contains(name.connection) && connections[name.connection] != nil
        }
    }

    // MARK: After a CHILD_SA that came up

    /// A child came up that was asked for so. Besides the next question there may be a CHILD_SA that is of no use any more.
    func cameUp(
        _ call: ChildCall, _ sa: ChildSA, in record: SessionRecord
    ) -> (ended: ChildSA?, sequel: Sequel) {
        let name = ChildName(connection: sa.connectionName, child: sa.child.name)
        guard let child = connections.child(name), child == sa.child, mayAsk(record) else { return (nil, .none) }
        let selectors = context.selectors(of: record.session)
        let pair = call.packet.flatMap { child.pair(holding: $0, in: selectors) }
        if let packet = call.packet, !sa.selectors.contains(where: { $0.contains(packet) }) {
            return narrowed(call, sa, pair, packet, child, in: record)
        }
        backoffs.cameUp(
            name.connection, child: name.child, pair: covers.pair(of: name, holding: call.packet), at: context.now)
        if let packet = call.packet, call.manner == .hinted, habits[name] != .flows, let pair,
            sa.selectors.allSatisfy({ packet.contains($0) }), pair.selector(in: selectors) != sa.selectors.first
        {
            var next = ChildCall(packet, .pair(pair))
            next.lesson = .onePair
            next.stopgap = sa.id
            tell("takes child \(child.name) for a single flow", next, record)
            return (nil, .askLater(next, child))
        }
        if let lesson = call.lesson { habits[name] = lesson }
        let stopgap = record.session.children.first { $0.id == call.stopgap && sa.covers($0) }
        return (stopgap, call.accepted.next.map { .ask($0, child) } ?? .none)
    }

    /// The SA that came up is not for the packet that called for it.
    private func narrowed(
        _ call: ChildCall, _ sa: ChildSA, _ pair: SelectorPair?, _ packet: TrafficSelector, _ child: Child,
        in record: SessionRecord
    ) -> (ended: ChildSA?, sequel: Sequel) {
        if let pair, call.manner.pair == nil {
            var next = ChildCall(packet, .pair(pair))
            next.lesson = .onePair
            tell("narrows child \(child.name) to \(sa.selectorText)", next, record)
            return (nil, .askLater(next, child))
        }
        let name = ChildName(connection: sa.connectionName, child: child.name)
        let pause = backoffs.failed(
            name.connection, child: name.child, pair: covers.pair(of: name, holding: packet), .notCovered,
            at: context.now)
        context.note(
            .warning,
            "the peer narrows child \(child.name) to \(sa.selectorText), which leaves out packets from "
                + "\(packet.source.first) to \(packet.destination.first); packets ask again in \(pause) s. Let the peer's "
                + "configuration cover them, or take them out of local_ts and remote_ts",
            connection: sa.connectionName, path: record.session.path)
        // One more of the same is of no use to anybody.
        let isSpare = installer.live(child.name, in: record).contains { $0.id != sa.id && $0.covers(sa) }
        return (isSpare ? sa : nil, .none)
    }

    // MARK: After a refusal

    func refused(
        _ call: ChildCall, _ name: String, _ explanation: Explanation, in record: SessionRecord
    ) -> RefusalSequel {
        guard let connection = record.session.connection, mayAsk(record),
            let child = connection.children.first(where: { $0.name == name })
        else { return .none }
        if let next = call.after(explanation.cause, of: child, in: context.selectors(of: record.session)) {
            tell("refuses child \(name) as it was asked for", next, record)
            return .inAnotherForm(next, child)
        }
        if call.stopgap != nil {
            habits[ChildName(connection: connection.name, child: name)] = .flows
            return .none
        }
        return call.refused(explanation).next.map { .nextPair($0, child) } ?? .none
    }

    private func mayAsk(_ record: SessionRecord) -> Bool {
        table[record.id] != nil && record.isEstablished && !record.isUnwanted && !context.isShuttingDown
    }

    private func tell(_ what: String, _ next: ChildCall, _ record: SessionRecord) {
        let form = next.manner.pair.map { "for \($0) alone" } ?? "without the packet that calls for it"
        context.note(
            .info, "the peer \(what); it is asked once more, \(form)",
            connection: record.session.connection?.name ?? "",
            path: record.session.path)
    }
}
