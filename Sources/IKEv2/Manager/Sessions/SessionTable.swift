import Cryptography
import Packets

/// All sessions, and the ways to find one.
final class SessionTable {
    /// The sessions of a connection, each of which knows its neighbours: one connection may be that of all peers, so that
    /// neither coming nor going may cost what their number is.
    private struct Chain {
        var oldest: UInt32
        var newest: UInt32
    }

    private var byID: [UInt32: SessionRecord] = [:]
    private var bySPI: [UInt64: SessionRecord] = [:]
    private var byInitialKey: [InitialKey: [SessionRecord]] = [:]
    private var byIdentities: [IdentityPair: [UInt32]] = [:]
    private var byConnection: [String: Chain] = [:]
    private(set) var halfOpen = HalfOpenLimits()
    /// Numbers of sessions that are established with peers at an address.
    private var established: [IPAddress: Int] = [:]
    /// Established sessions by our own addresses.
    private var byLocalAddress: [IPAddress: Set<UInt32>] = [:]
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

    /// Established sessions that are at addresses of ours other than these, the oldest first. Costs what they are, and a
    /// look at each address.
    func established(awayFrom addresses: Set<IPAddress>) -> [SessionRecord] {
        let lost = byLocalAddress.filter { !addresses.contains($0.key) }.values.joined()
        return lost.sorted().compactMap { byID[$0] }
    }

    /// Established sessions between the identities, the oldest first.
    func sessions(between identities: IdentityPair) -> [SessionRecord] {
        (byIdentities[identities] ?? []).compactMap { byID[$0] }
    }

    /// Whether a session is established between us and a peer who is, or may be, `remote`, which can be a pattern. A pattern
    /// is held against one peer after the other until it fits; where it fits none, our own connections have no such peer yet.
    func hasSession(of local: Identity, with remote: Identity) -> Bool {
        guard remote.isPattern else { return byIdentities[IdentityPair(local: local, remote: remote)] != nil }
        let local = local.folded
        return byIdentities.keys.contains { $0.local == local && $0.remote.matches(remote) != nil }
    }

    /// Ours, and a peer's that are established: before that it is not known which connection is meant.
    func sessions(of connection: String) -> [SessionRecord] {
        var records: [SessionRecord] = []
        var next = byConnection[connection]?.oldest
        while let record = next.flatMap({ byID[$0] }) {
            records.append(record)
            next = record.newer
        }
        return records
    }

    /// The newest of them that fulfils a condition: one connection may be that of all peers, so no list is made.
    func newestSession(of connection: String, where condition: (SessionRecord) -> Bool) -> SessionRecord? {
        var next = byConnection[connection]?.newest
        while let record = next.flatMap({ byID[$0] }) {
            if condition(record) { return record }
            next = record.older
        }
        return nil
    }

    /// False when our SPI is taken already, which chance does not bring about.
    func add(_ record: SessionRecord) -> Bool {
        guard record.ownSPI != 0, bySPI[record.ownSPI] == nil, byID[record.id] == nil else { return false }
        byID[record.id] = record
        bySPI[record.ownSPI] = record
        if let key = record.initialKey { byInitialKey[key, default: []].append(record) }
        if let slot = record.slot { halfOpen.add(slot) }
        file(record)
        return true
    }

    func setEstablished(_ record: SessionRecord, between identities: IdentityPair?) {
        endHalfOpen(record)
        record.isEstablished = true
        file(record)
        countAddresses(of: record)
        guard let identities, record.identities == nil else { return }
        record.identities = identities
        byIdentities[identities, default: []].append(record.id)
    }

    func remove(_ record: SessionRecord) {
        guard byID[record.id] === record else { return }
        endHalfOpen(record)
        byID[record.id] = nil
        if bySPI[record.ownSPI] === record { bySPI[record.ownSPI] = nil }
        if let key = record.initialKey {
            byInitialKey[key]?.removeAll { $0 === record }
            if byInitialKey[key]?.isEmpty == true { byInitialKey[key] = nil }
        }
        uncountAddresses(of: record)
        if let identities = record.identities {
            byIdentities[identities]?.removeAll { $0 == record.id }
            if byIdentities[identities]?.isEmpty == true { byIdentities[identities] = nil }
        }
        if let name = record.filedUnder { unfile(record, under: name) }
    }

    private func file(_ record: SessionRecord) {
        guard record.filedUnder == nil, let name = record.session.connection?.name else { return }
        guard record.isEstablished || record.slot == nil else { return }
        record.filedUnder = name
        guard let newest = byConnection[name]?.newest else {
            byConnection[name] = Chain(oldest: record.id, newest: record.id)
            return
        }
        byID[newest]?.newer = record.id
        record.older = newest
        byConnection[name]?.newest = record.id
    }

    private func unfile(_ record: SessionRecord, under name: String) {
        let (older, newer) = (record.older, record.newer)
        if let older { byID[older]?.newer = newer } else { byConnection[name]?.oldest = newer ?? 0 }
        if let newer { byID[newer]?.older = older } else { byConnection[name]?.newest = older ?? 0 }
        if older == nil, newer == nil { byConnection[name] = nil }
        record.older = nil
        record.newer = nil
    }

    /// The session gives its half-open slot back.
    func endHalfOpen(_ record: SessionRecord) {
        guard let slot = record.slot else { return }
        halfOpen.remove(slot)
        record.slot = nil
    }

    /// An established session counts with the addresses that it has now.
    func countAddresses(of record: SessionRecord) {
        let path = record.session.path
        guard record.isEstablished, byID[record.id] === record else { return }
        if record.filedAddresses?.remote == path.remote.address, record.filedAddresses?.local == path.local.address {
            return
        }
        let before = record.filedAddresses
        record.filedAddresses = (path.local.address, path.remote.address)
        if before?.remote != path.remote.address {
            if let before { uncount(before.remote) }
            established[path.remote.address, default: 0] += 1
            if established[path.remote.address] == 1 { addressChanges &+= 1 }
        }
        if before?.local != path.local.address {
            if let before { unfile(record, at: before.local) }
            byLocalAddress[path.local.address, default: []].insert(record.id)
        }
    }

    private func uncountAddresses(of record: SessionRecord) {
        guard let addresses = record.filedAddresses else { return }
        record.filedAddresses = nil
        uncount(addresses.remote)
        unfile(record, at: addresses.local)
    }

    private func uncount(_ address: IPAddress) {
        guard let count = established[address] else { return }
        established[address] = count > 1 ? count - 1 : nil
        if count == 1 { addressChanges &+= 1 }
    }

    private func unfile(_ record: SessionRecord, at address: IPAddress) {
        byLocalAddress[address]?.remove(record.id)
        if byLocalAddress[address]?.isEmpty == true { byLocalAddress[address] = nil }
    }
}

/// The manager's knowledge of a session: how the table finds it, what it was begun for, and what takes its place.
final class SessionRecord {
    let session: Session
    fileprivate(set) var isEstablished = false
    /// The times at which it came to be here and was established.
    var beganAt: Instant
    var establishedAt: Instant?
    /// Known once it is established.
    fileprivate(set) var identities: IdentityPair?
    /// The connection by whose name the session is found.
    fileprivate(set) var filedUnder: String?
    /// The sessions that were filed under it before and after this one.
    fileprivate var older: UInt32?
    fileprivate var newer: UInt32?
    /// The key by which a peer's repeated IKE_SA_INIT request finds the session.
    let initialKey: InitialKey?
    /// The hash of that request.
    let initialHash: [UInt8]
    /// The half-open slot that it holds; nil once it is established or refused, and for our own.
    fileprivate(set) var slot: HalfOpenLimits.Slot?
    /// The addresses under which the table has an established session.
    fileprivate var filedAddresses: (local: IPAddress, remote: IPAddress)?
    /// The earliest time in the timer queue for this session. A later deadline of the session needs no new entry: when
    /// this time has come, the deadline is looked at again.
    var queuedDeadline: Instant?
    /// The time at which something was last sent.
    var lastSentAt: Instant = 0
    /// The attempt that it was begun for; nil when the peer began, and once that is settled.
    var attempt: ConnectionAttempt?
    /// The children that were asked for in it.
    var asked = AskedChildren()
    /// Children that end because we want it: nothing follows from their end.
    var unwantedChildren: Set<UInt32> = []
    /// The whole session ends because we want it.
    var isUnwanted = false
    /// The last status of children that go with the actions at hand, by our numbers for them.
    var departed: [UInt32: ChildSAStatus] = [:]
    /// The status of the session before it ended; nil: it has not. In an array, as thousands of sessions do not have one.
    var last: IKESAStatus? {
        get { ending.first }
        set { ending = newValue.map { [$0] } ?? [] }
    }
    private var ending: [IKESAStatus] = []
    /// The IKE SA that takes its place, or has its place taken by it.
    var replacement = Replacement()
    /// Whether the peer still has it.
    var trust = Trust()

    init(
        _ session: Session, beganAt: Instant, slot: HalfOpenLimits.Slot? = nil, initialKey: InitialKey? = nil,
        initialHash: [UInt8] = []
    ) {
        self.session = session
        self.beganAt = beganAt
        self.slot = slot
        self.initialKey = initialKey
        self.initialHash = initialHash
    }

    var id: UInt32 { session.id }

    /// The SPI that we have chosen: by it the peer's messages find the session.
    var ownSPI: UInt64 { session.role == .initiator ? session.initiatorSPI : session.responderSPI }
}

/// The two ends of an IKE SA, folded: names are equal whatever the case, as they match.
struct IdentityPair: Hashable {
    let local: Identity
    let remote: Identity

    init(local: Identity, remote: Identity) {
        self.local = local.folded
        self.remote = remote.folded
    }
}

/// An IKE_SA_INIT request of a peer, before it knows our SPI. Only the whole message tells a repetition from another
/// negotiation (RFC 7296 section 2.1): it is looked at once the rest fits.
struct InitialKey: Hashable {
    var initiatorSPI: UInt64
    var remote: Endpoint
}
