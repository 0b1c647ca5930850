import Packets

/// A prefix without some of what lies in it, as prefixes.
enum PrefixPieces {
    /// The largest prefixes of `prefix` that have nothing in common with any of the holes, ascending; nil when they are more than
    /// `limit`.
    static func of(_ prefix: IPPrefix, without holes: [IPPrefix], limit: Int) -> [IPPrefix]? {
        var pieces: [IPPrefix] = []
        guard collect(prefix, holes.filter { prefix.contains($0) || $0.contains(prefix) }, limit: limit, into: &pieces)
        else { return nil }
        return pieces
    }

    /// Halves what has a hole in it. At most as deep as an address is long.
    private static func collect(
        _ prefix: IPPrefix, _ holes: [IPPrefix], limit: Int, into pieces: inout [IPPrefix]
    ) -> Bool {
        if holes.isEmpty {
            pieces.append(prefix)
            return pieces.count <= limit
        }
        if holes.contains(where: { $0.contains(prefix) }) { return true }
        let length = prefix.length + 1
        return [prefix.first, prefix.last].allSatisfy { address in
            let half = IPPrefix(address: address, length: length)
            return collect(half, holes.filter { half.contains($0) || $0.contains(half) }, limit: limit, into: &pieces)
        }
    }
}
