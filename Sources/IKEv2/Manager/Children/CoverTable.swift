import IPsec
import Packets

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
