import Cryptography
import Packets

/// All sessions, and the ways to find one.
struct SessionTable {
    private(set) var byID: [UInt32: SessionRecord] = [:]
    private var bySPI: [UInt64: SessionRecord] = [:]
    private var byInitialKey: [InitialKey: [SessionRecord]] = [:]
    private var byIdentities: [IdentityPair: [UInt32]] = [:]
    private var byConnection: [String: [UInt32]] = [:]
    private(set) var halfOpen = HalfOpenLimits()
    /// How many sessions are established with peers at an address.
    private var established: [IPAddress: Int] = [:]
    /// Counts up whenever an address comes to `established` or leaves it.
    private(set) var addressChanges: UInt64 = 0

    var count: Int { byID.count }

    subscript(id: UInt32) -> SessionRecord? { byID[id] }

    /// All records in the order in which they came.
    var all: [SessionRecord] { byID.values.sorted { $0.id < $1.id } }

    func session(ownSPI: UInt64) -> SessionRecord? { bySPI[ownSPI] }

    /// The session that a peer's first request has begun, when exactly this one did.
    func session(initialKey: InitialKey, request: [UInt8]) -> SessionRecord? {
        guard let records = byInitialKey[initialKey] else { return nil }
        let hash = sha1(request)
        return records.first { $0.initialHash == hash }
    }

    func hasEstablished(at address: IPAddress) -> Bool { established[address] != nil }

    var establishedAddresses: some Sequence<IPAddress> { established.keys }

    /// Established sessions between the identities, the oldest first.
    func sessions(between identities: IdentityPair) -> [SessionRecord] {
        (byIdentities[identities] ?? []).compactMap { byID[$0] }
    }

    /// Whether a session is established between us and a peer who is, or may be, `remote`, which can be a pattern.
    func hasSession(of local: Identity, with remote: Identity) -> Bool {
        guard remote.isPattern else { return byIdentities[IdentityPair(local: local, remote: remote)] != nil }
        return byIdentities.keys.contains { $0.local.folded == local.folded && $0.remote.matches(remote) != nil }
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
        if let key = record.initialKey { byInitialKey[key, default: []].append(record) }
        if let slot = record.slot { halfOpen.add(slot) }
        file(record)
        return true
    }

    mutating func setEstablished(_ record: SessionRecord, between identities: IdentityPair?) {
        endHalfOpen(record)
        record.isEstablished = true
        file(record)
        countAddress(of: record)
        guard let identities, record.identities == nil else { return }
        record.identities = identities
        byIdentities[identities, default: []].append(record.id)
    }

    mutating func remove(_ record: SessionRecord) {
        endHalfOpen(record)
        byID[record.id] = nil
        if bySPI[record.ownSPI] === record { bySPI[record.ownSPI] = nil }
        if let key = record.initialKey {
            byInitialKey[key]?.removeAll { $0 === record }
            if byInitialKey[key]?.isEmpty == true { byInitialKey[key] = nil }
        }
        uncountAddress(of: record)
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
        guard record.isEstablished || record.slot == nil else { return }
        record.filedUnder = name
        byConnection[name, default: []].append(record.id)
    }

    /// The session gives its half-open slot back.
    mutating func endHalfOpen(_ record: SessionRecord) {
        guard let slot = record.slot else { return }
        halfOpen.remove(slot)
        record.slot = nil
    }

    /// An established session counts with the address that its peer has now.
    mutating func countAddress(of record: SessionRecord) {
        let address = record.session.path.remote.address
        guard record.isEstablished, byID[record.id] === record, record.countedAddress != address else { return }
        uncountAddress(of: record)
        record.countedAddress = address
        established[address, default: 0] += 1
        if established[address] == 1 { addressChanges &+= 1 }
    }

    private mutating func uncountAddress(of record: SessionRecord) {
        guard let address = record.countedAddress, let count = established[address] else { return }
        record.countedAddress = nil
        established[address] = count > 1 ? count - 1 : nil
        if count == 1 { addressChanges &+= 1 }
    }
}
