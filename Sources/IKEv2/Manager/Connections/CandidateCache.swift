import IPsec
import Packets

/// Candidate sets that were made before, by where the ends of a path lie among the addresses of the configuration. To be
/// emptied whenever connections, host names or credentials change.
struct CandidateCache {
    /// Between two neighbouring bounds of all ranges no address fits other connections than its neighbours do.
    private struct Place: Hashable {
        /// How many ranges begin at or before the peer's address, and how many end before it.
        let begun: Int
        let ended: Int
        /// The peer's address, if it is named by itself.
        let exact: IPAddress?
        let local: IPAddress
    }

    private var sets: [Place: CandidateSet] = [:]
    /// In order; nil: not made yet.
    private var bounds: (first: [IPAddress], last: [IPAddress])?

    private static let mostSets = 1024

    mutating func removeAll() {
        sets = [:]
        bounds = nil
    }

    /// - Parameter isNamed: whether the peer's address is one that is configured, or that a host name stands for.
    mutating func candidates(
        for path: Path, in table: ConnectionTable, names: NameCache, isNamed: Bool
    ) -> CandidateSet {
        let bounds = self.bounds ?? Self.order(table.generalRanges)
        self.bounds = bounds
        let remote = path.remote.address
        let place = Place(
            begun: bounds.first.partitioningIndex { $0 > remote },
            ended: bounds.last.partitioningIndex { $0 >= remote },
            exact: isNamed ? remote : nil, local: path.local.address)
        if let known = sets[place] { return known }
        let set = CandidateSet(table.candidates(for: path, resolved: names.addresses))
        if sets.count >= Self.mostSets { sets = [:] }
        sets[place] = set
        return set
    }

    private static func order(_ ranges: [AddressRange]) -> (first: [IPAddress], last: [IPAddress]) {
        (ranges.map(\.first).sorted(), ranges.map(\.last).sorted())
    }
}

extension [IPAddress] {
    /// The place of the first element that fulfils a condition which all later ones fulfil too; the count: none does.
    fileprivate func partitioningIndex(_ isLater: (IPAddress) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isLater(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
