import IKEv2Messages
import IPsec
import Packets

/// Connections that a peer may mean, the best first, and what the answer to its IKE_SA_INIT needs to know of all of them.
/// Made once for all peers to which the same holds, so that a request costs no time that grows with their number.
final class CandidateSet {
    /// Connections with the same proposals.
    private struct Group {
        let proposals: [IKEProposal]
        let templates: [ProposalTemplate]
    }

    let connections: [Connection]
    private let groups: [Group]
    /// For each connection the number of its group.
    private let groupOfConnection: [Int]
    /// The subsets by which groups accept what was selected.
    private var subsets: [[Bool]: CandidateSet] = [:]

    private static let mostSubsets = 64

    init(_ connections: [Connection]) {
        var numbers: [[IKEProposal]: Int] = [:]
        var groups: [Group] = []
        groupOfConnection = connections.map { connection in
            if let number = numbers[connection.proposals] { return number }
            numbers[connection.proposals] = groups.count
            groups.append(
                Group(proposals: connection.proposals, templates: connection.proposals.map(\.template)))
            return groups.count - 1
        }
        self.connections = connections
        self.groups = groups
    }

    /// The selection of the first connection that has something in common with the offer.
    /// `begun`: the method that the peer has sent a value of.
    func select(_ offer: SecurityAssociationPayload, begun: KeyExchangeID) -> SelectedIKE? {
        for group in groups {
            let selected = IKENegotiation.choose(offer, templates: group.templates, begun: begun)
            if let selected { return selected }
        }
        return nil
    }

    /// One connection of each other set of proposals, not more than a record of the log can hold.
    func others(than first: Connection) -> [Connection] {
        var known = [first.proposals]
        var others: [Connection] = []
        for group in groups where others.count < 3 && !known.contains(group.proposals) {
            known.append(group.proposals)
            others += connections.first { $0.proposals == group.proposals }.map { [$0] } ?? []
        }
        return others
    }

    /// The connections that take what was selected.
    func accepting(_ selected: SelectedIKE) -> CandidateSet {
        let answer = IKENegotiation.answer(selected, spi: nil)
        let accepts = groups.map { IKENegotiation.choose(answer, templates: $0.templates) != nil }
        if accepts.allSatisfy({ $0 }) { return self }
        if let known = subsets[accepts] { return known }
        let subset = CandidateSet(zip(connections, groupOfConnection).filter { accepts[$0.1] }.map(\.0))
        if subsets.count >= Self.mostSubsets { subsets = [:] }
        subsets[accepts] = subset
        return subset
    }

    // MARK: - What all of them together want

    private(set) lazy var forcesEncapsulation = connections.contains { $0.forcesEncapsulation }
    private(set) lazy var takesChildless = connections.contains { $0.childless != .never }
    private(set) lazy var capabilities = InitialExchange.capabilities(of: connections)
    private var requests: [CertificateRequestPayload]?

    /// The CERTREQ payloads. They are made of the first credentials that are given: with others the set is made anew.
    func certificateRequests(_ credentials: Credentials) -> [CertificateRequestPayload] {
        if let requests { return requests }
        let made = PeerAuthentication.requests(for: connections, credentials)
        requests = made
        return made
    }
}

/// Candidate sets that were made before, by where the ends of a path lie among the addresses of the configuration. To be
/// emptied whenever connections, host names or credentials change.
struct CandidateCache {
    /// Between two neighbouring bounds of all ranges no address fits other connections than its neighbours do.
    private struct Place: Hashable {
        /// Numbers of ranges that begin at or before the peer's address, and that end before it.
        let begun: Int
        let ended: Int
        /// The peer's address, if it is named by itself.
        let exact: IPAddress?
        let local: IPAddress
    }

    private var sets: [Place: CandidateSet] = [:]
    /// The bounds in order; nil: not made yet.
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
