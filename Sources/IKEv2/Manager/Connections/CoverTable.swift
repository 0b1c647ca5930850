import IPsec
import Packets

/// What loaded children cover, as the dataplane was told, and what is still missing.
struct CoverTable {
    /// A child of a connection.
    struct Owner: Hashable {
        var connection: String
        var child: String
    }

    /// Packets that several children may be for.
    private struct Place: Hashable {
        var selector: TrafficSelector
        var priority: UInt32?
    }

    private(set) var covers: [Owner: ChildCover] = [:]
    private var byRequestID: [UInt32: Set<Owner>] = [:]
    private var byPlace: [Place: Set<Owner>] = [:]
    /// Places of connections in the configuration, as `ChildCover.rank` has them. They grow with it, and a connection
    /// keeps its own as long as the order stays.
    private var ranks: [String: UInt64] = [:]
    /// Children whose packets are to call for them.
    var trapped: Set<Owner> = []
    /// Connections whose children need an address that is not known.
    var waiting: Set<String> = []
    /// Those of them that the operator was told of.
    var told: Set<String> = []
    /// Connections with `dynamic` selectors and a peer whose address can be found out.
    private(set) var dynamic: Set<String> = []
    /// Our last addresses towards peers: a route that is gone for a while takes nothing out of the SPD.
    private var sources: [IPAddress: IPAddress] = [:]
    /// How often what is missing was looked for in vain.
    var looks: UInt64 = 0
    /// There is a timer for the next look.
    var isLookScheduled = false

    subscript(owner: Owner) -> ChildCover? { covers[owner] }

    /// In the order of the configuration.
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
        waiting.formIntersection(dynamic)
        told.formIntersection(dynamic)
        return changed
    }

    func rank(of connection: String) -> UInt64 { ranks[connection] ?? .max }

    mutating func set(_ owner: Owner, to new: ChildCover?) {
        if let old = covers[owner] {
            remove(owner, from: &byRequestID, old.requestID)
            for selector in old.selectors { remove(owner, from: &byPlace, Self.place(selector, old)) }
        }
        covers[owner] = new
        if let new {
            byRequestID[new.requestID, default: []].insert(owner)
            for selector in new.selectors { byPlace[Self.place(selector, new), default: []].insert(owner) }
        }
    }

    /// The children that a packet without an SA calls for: of those that cover the same all that trap.
    func called(by requestID: UInt32, _ packet: TrafficSelector?) -> [ChildCover] {
        var owners = byRequestID[requestID] ?? []
        for cover in owners.compactMap({ covers[$0] }) {
            for selector in cover.selectors where packet.map(selector.contains) ?? true {
                owners.formUnion(byPlace[Self.place(selector, cover)] ?? [])
            }
        }
        return owners.compactMap { covers[$0] }.filter(\.acquires).sorted { $0.rank < $1.rank }
    }

    /// Our address towards a peer, the last one when there is none now.
    mutating func source(towards remote: IPAddress, now: IPAddress?) -> IPAddress? {
        if let now { sources[remote] = now }
        return now ?? sources[remote]
    }

    private static func place(_ selector: TrafficSelector, _ cover: ChildCover) -> Place {
        Place(selector: selector, priority: cover.child.priority)
    }

    private func remove<Key>(_ owner: Owner, from index: inout [Key: Set<Owner>], _ key: Key) {
        index[key]?.remove(owner)
        if index[key]?.isEmpty == true { index[key] = nil }
    }
}
