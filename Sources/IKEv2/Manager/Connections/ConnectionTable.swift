import IPsec
import Packets

/// All loaded connections, found by name, and by the addresses of a peer that begins.
struct ConnectionTable {
    /// The connections in the order in which they were loaded.
    private(set) var all: [Connection] = []
    private var byName: [String: Int] = [:]
    /// Connections whose peer is at exactly this address, by their place in `all`.
    private var byRemote: [IPAddress: [Int]] = [:]
    /// All addresses that a connection names by themselves.
    private(set) var namedAddresses: Set<IPAddress> = []
    /// Addresses of peers, of connections that name something else than single ones.
    private(set) var generalRanges: [AddressRange] = []
    /// All others that a peer could be of.
    private var general: [Int] = []
    /// Connections that use a host name, by their place in `all`.
    private var byHostName: [String: [Int]] = [:]

    subscript(name: String) -> Connection? { byName[name].map { all[$0] } }

    func child(_ child: String, of connection: String) -> Child? {
        self[connection]?.children.first { $0.name == child }
    }

    /// The first connection that has a child of that name.
    func firstConnection(withChild name: String) -> Connection? {
        all.first { $0.negotiated.contains { $0.name == name } }
    }

    /// Replaces everything. Nobody is one that is refused.
    mutating func set(_ connections: [Connection]) {
        all = connections
        byName = [:]
        byRemote = [:]
        general = []
        namedAddresses = []
        generalRanges = []
        byHostName = [:]
        for (index, connection) in connections.enumerated() {
            byName[connection.name] = index
            for name in Set(connection.names) { byHostName[name, default: []].append(index) }
            if connection.isRefused { continue }
            let exact = connection.remoteAddresses.map(\.single)
            namedAddresses.formUnion(exact.compactMap { $0 })
            if exact.isEmpty || exact.contains(nil) {
                general.append(index)
                for case .range(let range) in connection.remoteAddresses { generalRanges.append(range) }
            } else {
                for address in Set(exact.compactMap { $0 }) { byRemote[address, default: []].append(index) }
            }
        }
    }

    /// Whether a connection names exactly this address.
    func names(_ address: IPAddress) -> Bool { namedAddresses.contains(address) }

    /// All host names that connections use, sorted.
    var hostNames: [String] { byHostName.keys.sorted() }

    /// Connections that use a host name, for one end or the other.
    func using(_ name: String) -> [Connection] { (byHostName[name] ?? []).map { all[$0] } }

    /// Connections that say that their peer is at this address, by itself or by a host name.
    func naming(_ address: IPAddress, resolved: [String: [IPAddress]]) -> [Connection] {
        let others = general.filter { index in
            all[index].remoteAddresses.contains { pattern in
                if case .name(let name) = pattern { return resolved[name]?.contains(address) == true }
                return pattern.single == address
            }
        }
        return ((byRemote[address] ?? []) + others).sorted().map { all[$0] }
    }

    /// Connections that a peer at the other end of `path` may mean: those for exactly its address first, then by how
    /// narrow the addresses are, then in the order of the configuration.
    /// - Parameter resolved: what is known of host names. A name of which nothing is known may be anywhere: who the
    ///   peer is will be proved by its authentication.
    func candidates(for path: Path, resolved: [String: [IPAddress]]) -> [Connection] {
        var found: [(index: Int, rank: (remote: Int, local: Int))] = []
        for index in (byRemote[path.remote.address] ?? []) + general {
            let connection = all[index]
            guard let remote = connection.remoteAddresses.closeness(to: path.remote.address, resolved: resolved),
                let local = connection.localAddresses.closeness(to: path.local.address, resolved: resolved)
            else { continue }
            found.append((index, (remote, local)))
        }
        found.sort { $0.rank == $1.rank ? $0.index < $1.index : $0.rank > $1.rank }
        return found.map { all[$0.index] }
    }
}

extension AddressPattern {
    /// The address, when the pattern is for one only.
    var single: IPAddress? {
        if case .range(let range) = self, range.first == range.last { range.first } else { nil }
    }

    /// The closeness of the fit, by the bits that it prescribes; nil: not at all.
    fileprivate func closeness(to address: IPAddress, resolved: [String: [IPAddress]]) -> Int? {
        switch self {
        case .range(let range):
            return range.contains(address) ? 1 + range.prescribedBits : nil
        case .name(let name):
            return resolved[name]?.contains(address) == true ? 1 + address.bitWidth : 0
        }
    }
}

extension [AddressPattern] {
    /// The closest of the patterns; 0 when there are none, which is "anywhere".
    fileprivate func closeness(to address: IPAddress, resolved: [String: [IPAddress]]) -> Int? {
        isEmpty ? 0 : compactMap { $0.closeness(to: address, resolved: resolved) }.max()
    }
}

extension AddressRange {
    /// The bits that all addresses of the range share.
    fileprivate var prescribedBits: Int {
        let high = (first.high ^ last.high).leadingZeroBitCount
        let low = (first.low ^ last.low).leadingZeroBitCount
        return family == .ipv4 ? low - 32 : high < 64 ? high : 64 + low
    }
}
