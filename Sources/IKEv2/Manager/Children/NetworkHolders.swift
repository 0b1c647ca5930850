import IPsec
import Packets

/// The networks that peers have by their CHILD_SAs, where a connection is for several peers: no two of them may have the
/// same packets.
///
/// Networks of different peers never overlap, so in the order of their first addresses all that a network could overlap
/// with lies next to it, but for the same peer's own.
struct NetworkHolders {
    private struct Entry {
        let range: AddressRange
        let peer: Identity
        var count: Int
    }

    /// The entries by connection and family, in the order of the first and then of the last addresses.
    private var entries: [Place: [Entry]] = [:]

    private struct Place: Hashable {
        var connection: String
        var family: AddressFamily
    }

    var isEmpty: Bool { entries.isEmpty }

    /// Another peer that has one of the networks, or a part of it.
    func holder(of networks: [AddressRange], connection: String, besides peer: Identity) -> Identity? {
        let peer = peer.folded
        for range in networks {
            guard let all = entries[Place(connection: connection, family: range.family)] else { continue }
            if let holder = Self.holder(of: range, besides: peer, in: all) { return holder }
        }
        return nil
    }

    mutating func add(_ sa: ChildSA, of peer: Identity) {
        let peer = peer.folded
        for range in Set(sa.selectors.map(\.destination)) {
            let place = Place(connection: sa.connectionName, family: range.family)
            let index = Self.index(of: range, in: entries[place] ?? [])
            if let same = find(range, peer, place, from: index) {
                entries[place]?[same].count += 1
            } else {
                entries[place, default: []].insert(Entry(range: range, peer: peer, count: 1), at: index)
            }
        }
    }

    mutating func remove(_ sa: ChildSA, of peer: Identity) {
        let peer = peer.folded
        for range in Set(sa.selectors.map(\.destination)) {
            let place = Place(connection: sa.connectionName, family: range.family)
            let index = Self.index(of: range, in: entries[place] ?? [])
            guard let same = find(range, peer, place, from: index) else { continue }
            entries[place]?[same].count -= 1
            if entries[place]?[same].count == 0 { entries[place]?.remove(at: same) }
            if entries[place]?.isEmpty == true { entries[place] = nil }
        }
    }

    private func find(_ range: AddressRange, _ peer: Identity, _ place: Place, from index: Int) -> Int? {
        guard let all = entries[place] else { return nil }
        return all[index...].indices.prefix { all[$0].range == range }.first { all[$0].peer == peer }
    }

    /// The place of a network, or the one that it would have.
    private static func index(of range: AddressRange, in all: [Entry]) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            let other = all[middle].range
            if (other.first, other.last) < (range.first, range.last) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func holder(of range: AddressRange, besides peer: Identity, in all: [Entry]) -> Identity? {
        let start = index(of: range, in: all)
        for entry in all[start...] {
            if entry.range.first > range.last { break }
            if entry.peer != peer { return entry.peer }
        }
        // Behind another one's network that ends before this one there is nothing that reaches further.
        var nearest: Identity?
        for entry in all[..<start].reversed() {
            if let nearest, entry.peer != nearest { break }
            nearest = entry.peer
            if entry.range.last >= range.first, entry.peer != peer { return entry.peer }
        }
        return nil
    }
}
