import Packets

extension AddressRange {
    /// The fewest prefixes that together hold exactly these addresses, in ascending order; or, when there are more than
    /// `limit`, the one prefix that holds them all and others. At most 2 × width - 2 are needed (RFC 4301 allows
    /// any range), and `limit` keeps a pair of odd ranges from becoming thousands of table entries.
    public func prefixes(limit: Int = .max) -> [IPPrefix] {
        var result: [IPPrefix] = []
        var next = first
        while result.count <= limit {
            let prefix = largestPrefix(from: next)
            result.append(prefix)
            if prefix.last == last { return result }
            next = prefix.last.successor
        }
        return [commonPrefix]
    }

    /// The longest prefix that holds the whole range.
    public var commonPrefix: IPPrefix {
        let high = first.high ^ last.high
        let low = first.low ^ last.low
        let differing = high == 0 ? 64 - low.leadingZeroBitCount : 128 - high.leadingZeroBitCount
        return IPPrefix(address: first, length: first.bitWidth - differing)
    }

    /// The shortest prefix that begins at `start` and does not go beyond the range.
    private func largestPrefix(from start: IPAddress) -> IPPrefix {
        var length = start.bitWidth
        while length > 0 {
            let wider = IPPrefix(address: start, length: length - 1)
            guard wider.address == start, wider.last <= last else { break }
            length -= 1
        }
        return IPPrefix(address: start, length: length)
    }
}
