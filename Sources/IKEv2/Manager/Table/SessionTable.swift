import Packets

/// All sessions, and the ways to find one.
struct SessionTable {
    private(set) var byID: [UInt32: SessionRecord] = [:]
    private var bySPI: [UInt64: SessionRecord] = [:]
    private var byInitialKey: [InitialKey: SessionRecord] = [:]
    private var byIdentities: [IdentityPair: [UInt32]] = [:]
    private var byConnection: [String: [UInt32]] = [:]
    private(set) var halfOpen = HalfOpenLimits()

    var count: Int { byID.count }

    subscript(id: UInt32) -> SessionRecord? { byID[id] }

    /// All records in the order in which they came.
    var all: [SessionRecord] { byID.values.sorted { $0.id < $1.id } }

    func session(ownSPI: UInt64) -> SessionRecord? { bySPI[ownSPI] }

    func session(initialKey: InitialKey) -> SessionRecord? { byInitialKey[initialKey] }

    /// Established sessions between the identities, the oldest first.
    func sessions(between identities: IdentityPair) -> [SessionRecord] {
        (byIdentities[identities] ?? []).compactMap { byID[$0] }
    }

    /// Whether a session is established between us and a peer who is, or may be, `remote`, which can be a pattern.
    func hasSession(of local: Identity, with remote: Identity) -> Bool {
        guard remote.isPattern else { return byIdentities[IdentityPair(local: local, remote: remote)] != nil }
        return byIdentities.keys.contains { $0.local == local && $0.remote.matches(remote) != nil }
    }

    /// Ours, and a peer's that are established: before that it is not known which connection is meant.
    func sessions(of connection: String) -> [SessionRecord] {
        (byConnection[connection] ?? []).compactMap { byID[$0] }
    }

    /// False when our SPI is taken already, which chance does not bring about.
    mutating func add(_ record: SessionRecord) -> Bool {
        guard record.ownSPI != 0, bySPI[record.ownSPI] == nil, byID[record.id] == nil else { return false }
        byID[record.id] = record
        bySPI[record.ownSPI] = record
        if let key = record.initialKey { byInitialKey[key] = record }
        if let address = record.halfOpenAddress { halfOpen.add(address) }
        file(record)
        return true
    }

    mutating func setEstablished(_ record: SessionRecord, between identities: IdentityPair?) {
        endHalfOpen(record)
        record.isEstablished = true
        file(record)
        guard let identities, record.identities == nil else { return }
        record.identities = identities
        byIdentities[identities, default: []].append(record.id)
    }

    mutating func remove(_ record: SessionRecord) {
        endHalfOpen(record)
        byID[record.id] = nil
        if bySPI[record.ownSPI] === record { bySPI[record.ownSPI] = nil }
        if let key = record.initialKey, byInitialKey[key] === record { byInitialKey[key] = nil }
        if let identities = record.identities {
            byIdentities[identities]?.removeAll { $0 == record.id }
            if byIdentities[identities]?.isEmpty == true { byIdentities[identities] = nil }
        }
        if let name = record.filedUnder {
            byConnection[name]?.removeAll { $0 == record.id }
            if byConnection[name]?.isEmpty == true { byConnection[name] = nil }
        }
    }

    private mutating func file(_ record: SessionRecord) {
        guard record.filedUnder == nil, let name = record.session.connection?.name else { return }
        guard record.isEstablished || record.halfOpenAddress == nil else { return }
        record.filedUnder = name
        byConnection[name, default: []].append(record.id)
    }

    private mutating func endHalfOpen(_ record: SessionRecord) {
        guard let address = record.halfOpenAddress else { return }
        halfOpen.remove(address)
        record.halfOpenAddress = nil
    }
}
