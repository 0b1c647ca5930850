import IPsec
import Packets

/// The parts of the SPD that children cover, whatever SAs there are (RFC 4301 section 4.4.1): a child that is loaded keeps
/// its packets from leaving in clear, and one with `start_action = trap` is called for by them. Neither route nor resolver
/// is needed for that, but for the address that `dynamic` stands for: it is looked for until it is found.
final class Covers {
    private let context: ManagerContext
    private let connections: Connections
    private let dataplane: any ChildDataplane
    private let requestIDs: RequestIDs
    private var table = CoverTable()
    /// Children whose packets are to call for them.
    private var trapped: Set<ChildName> = []
    /// Connections whose children need an address that is not known.
    private var waiting: Set<String> = []
    /// The children that the operator was told of.
    private var told: Set<String> = []
    /// Looks in vain for what is missing.
    private var looks: UInt64 = 0
    /// There is a timer for the next look.
    private var isLookScheduled = false

    init(
        context: ManagerContext, connections: Connections, dataplane: any ChildDataplane, requestIDs: RequestIDs
    ) {
        self.context = context
        self.connections = connections
        self.dataplane = dataplane
        self.requestIDs = requestIDs
    }

    // MARK: Questions

    /// Covers of children with traps, in the order of the configuration.
    var traps: [ChildCover] { table.ordered.filter(\.acquires) }

    func isTrapped(_ name: ChildName) -> Bool { trapped.contains(name) }

    /// The children that a packet without an SA calls for.
    func called(by requestID: UInt32, _ packet: TrafficSelector?) -> [ChildCover] {
        table.called(by: requestID, packet)
    }

    /// The pair of what a child covers that a packet belongs to: by it a back-off is told from others.
    func pair(of name: ChildName, holding packet: TrafficSelector?) -> TrafficSelector? {
        packet.flatMap { packet in table[name]?.selectors.first { $0.contains(packet) } }
    }

    // MARK: Traps

    /// Lets packets of a child call for it; fails when there is nobody to call.
    func setTrap(_ child: Child, of connection: Connection) -> Result<Void, Explanation> {
        guard connection.hasKnownRemote else { return .failure(.noRemoteAddress(of: connection)) }
        let name = ChildName(connection: connection.name, child: child.name)
        if trapped.insert(name).inserted { cover(child, of: connection) }
        return .success(())
    }

    /// Takes the traps of a child away; what it covers stays covered. False: there was none.
    func removeTraps(connection: String?, child: String) -> Bool {
        let meant = trapped.filter { $0.child == child && (connection == nil || $0.connection == connection) }
        for name in meant {
            trapped.remove(name)
            guard let connection = connections[name.connection], let child = connections.child(name) else { continue }
            cover(child, of: connection)
        }
        return !meant.isEmpty
    }

    /// A child was loaded, or has changed: its start action says whether its packets call for it.
    func configureTrap(_ child: Child, of connection: Connection) {
        let name = ChildName(connection: connection.name, child: child.name)
        if child.startAction.traps, connection.hasKnownRemote { trapped.insert(name) } else { trapped.remove(name) }
    }

    // MARK: Coming and going

    /// All connections are known anew: children that are gone cover nothing any more, and those whose place in the
    /// configuration has changed are covered anew. Returns those that are gone.
    func connectionsChanged() -> [ChildName] {
        let outOfOrder = table.rank(connections.all)
        waiting.formIntersection(table.dynamic)
        told.formIntersection(table.dynamic)
        let gone = table.children.filter { connections.child($0) == nil }
        for name in gone {
            trapped.remove(name)
            table.set(name, to: nil)
            dataplane.uncover(connection: name.connection, child: name.child)
            requestIDs.release(connection: name.connection, child: name.child)
        }
        for name in outOfOrder.sorted() { connections[name].map(cover) }
        return gone
    }

    /// Brings what the children of a connection cover up to date.
    func cover(_ connection: Connection) {
        for child in connection.children { cover(child, of: connection) }
    }

    private func cover(_ child: Child, of connection: Connection) {
        let name = ChildName(connection: connection.name, child: child.name)
        let known = connection.configuredSelectors(
            of: child, resolved: connections.addresses(of:),
            source: { table.source(towards: $0, now: context.output.sourceAddress(towards: $0)) })
        let new = ChildCover(
            connectionName: connection.name, child: child,
            requestID: requestIDs.own(connection: connection.name, child: child), selectors: known.selectors,
            isComplete: known.isComplete, rank: table.rank(of: connection.name), acquires: trapped.contains(name))
        if !known.isComplete { awaitAddress(of: connection, child) }
        guard table[name] != new else { return }
        do throws(InstallationError) {
            try dataplane.cover(new)
            table.set(name, to: new)
        } catch {
            context.count.installationsFailed += 1
            context.note(
                .warning, "the policies of child \(child.name) could not be installed: \(error)",
                connection: connection.name)
        }
    }

    // MARK: Addresses

    /// The host's addresses or routes have changed.
    func networkChanged() {
        for name in table.dynamic.sorted() { connections[name].map(cover) }
    }

    /// The addresses of a name are known now, or again.
    func nameResolved(_ name: String) {
        let meant = connections.using(name).filter { table.dynamic.contains($0.name) }
        for connection in meant.sorted(by: { $0.name < $1.name }) { cover(connection) }
    }

    /// A look at the time of the next one.
    func lookForAddresses() {
        isLookScheduled = false
        let names = waiting.sorted()
        waiting = []
        looks += 1
        for connection in names.compactMap({ connections[$0] }) {
            connections.resolveUnknown(of: connection)
            cover(connection)
        }
        if waiting.isEmpty { looks = 0 }
        told.formIntersection(waiting)
    }

    /// Looks again in 1, 2, 4, … up to 32 seconds: a peer that may be anywhere brings its address itself.
    private func awaitAddress(of connection: Connection, _ child: Child) {
        guard connection.hasKnownRemote, !context.isShuttingDown else { return }
        waiting.insert(connection.name)
        // A resolver's first answer takes a moment.
        if looks > 0, told.insert(connection.name).inserted {
            context.note(
                .warning,
                "an address that `dynamic` stands for in child \(child.name) is not known yet; check remote_addrs, "
                    + "local_addrs and the routes, or name the networks. It is looked for until it is found",
                connection: connection.name)
        }
        guard !isLookScheduled else { return }
        isLookScheduled = true
        context.wake(.addresses, at: context.after(seconds: 1 << min(looks, 5)))
    }
}

/// The covers of loaded children, as the dataplane was told: found by child, by request id and by what they cover.
struct CoverTable {
    /// Packets that several children may be for.
    private struct Place: Hashable {
        var selector: TrafficSelector
        var priority: UInt32?
    }

    private var covers: [ChildName: ChildCover] = [:]
    private var byRequestID: [UInt32: Set<ChildName>] = [:]
    private var byPlace: [Place: Set<ChildName>] = [:]
    /// Places of connections in the configuration, as `ChildCover.rank` has them. They grow with it, and a connection
    /// keeps its own as long as the order stays.
    private var ranks: [String: UInt64] = [:]
    /// Connections with `dynamic` selectors and a peer whose address can be found out.
    private(set) var dynamic: Set<String> = []
    /// Our last addresses towards peers: a route that is gone for a while takes nothing out of the SPD.
    private var sources: [IPAddress: IPAddress] = [:]
    subscript(name: ChildName) -> ChildCover? { covers[name] }

    var children: [ChildName] { Array(covers.keys) }

    /// The covers in the order of the configuration.
    var ordered: [ChildCover] {
        covers.values.sorted { ($0.rank, $0.requestID, $0.child.name) < ($1.rank, $1.requestID, $1.child.name) }
    }

    /// Gives all connections their ranks; returns those whose rank is another one than before.
    mutating func rank(_ connections: [Connection]) -> Set<String> {
        var changed: Set<String> = []
        var new: [String: UInt64] = [:]
        var last: UInt64 = 0
        for connection in connections {
            let old = ranks[connection.name]
            if let old, old > last { last = old } else { last += 1 }
            if let old, old != last { changed.insert(connection.name) }
            new[connection.name] = last
        }
        ranks = new
        dynamic = Set(
            connections.filter { $0.hasKnownRemote && $0.children.contains(where: \.hasDynamicSelectors) }
                .map(\.name))
        return changed
    }

    func rank(of connection: String) -> UInt64 { ranks[connection] ?? .max }

    mutating func set(_ name: ChildName, to new: ChildCover?) {
        if let old = covers[name] {
            remove(name, from: &byRequestID, old.requestID)
            for selector in old.selectors { remove(name, from: &byPlace, Self.place(selector, old)) }
        }
        covers[name] = new
        if let new {
            byRequestID[new.requestID, default: []].insert(name)
            for selector in new.selectors { byPlace[Self.place(selector, new), default: []].insert(name) }
        }
    }

    /// The children that a packet without an SA calls for: of those that cover the same all that trap.
    func called(by requestID: UInt32, _ packet: TrafficSelector?) -> [ChildCover] {
        var names = byRequestID[requestID] ?? []
        for cover in names.compactMap({ covers[$0] }) {
            for selector in cover.selectors where packet.map(selector.contains) ?? true {
                names.formUnion(byPlace[Self.place(selector, cover)] ?? [])
            }
        }
        return names.compactMap { covers[$0] }.filter(\.acquires).sorted { $0.rank < $1.rank }
    }

    /// Our address towards a peer, the last one when there is none now.
    mutating func source(towards remote: IPAddress, now: IPAddress?) -> IPAddress? {
        if let now { sources[remote] = now }
        return now ?? sources[remote]
    }

    private static func place(_ selector: TrafficSelector, _ cover: ChildCover) -> Place {
        Place(selector: selector, priority: cover.child.priority)
    }

    private func remove<Key>(_ name: ChildName, from index: inout [Key: Set<ChildName>], _ key: Key) {
        index[key]?.remove(name)
        if index[key]?.isEmpty == true { index[key] = nil }
    }
}
