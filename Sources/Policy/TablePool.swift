import IPsec

/// The copies of the tables, of which workers read one while the next is prepared (left-right): a change costs its own
/// size, twice, and readers have plain flat tables.
///
/// 1. Every change is written into a log; each copy knows up to where it has followed.
/// 2. A snapshot holds its copy. A copy that only this pool holds is read by nobody: the publisher releases a snapshot no
///    earlier than that. Such a copy follows the log and is handed out next.
/// 3. When all are held (a worker has been in one batch since the last publication but one), a new copy is made.
///
/// Belongs to the builder's thread, on which snapshots are to be released too.
struct TablePool {
    private struct Copy {
        var tables: TableSet
        /// Up to where it has followed the log, counted from the first change ever.
        var position: Int
    }

    /// The one handed out last is last.
    private var copies: [Copy]
    private var log: [TableChange] = []
    /// The position of `log[0]`.
    private var start = 0

    /// More would only cost memory.
    private static let most = 2

    init(workers: Int) { copies = [Copy(tables: TableSet(workers: workers), position: 0)] }

    private var end: Int { start + log.count }

    mutating func append(_ changes: [TableChange]) { log += changes }

    /// Tables with all changes, which stay as they are as long as somebody holds them.
    mutating func current() -> TableSet {
        let newest = copies.count - 1
        if copies[newest].position == end { return copies[newest].tables }
        if let free = copies.indices.reversed().first(where: { isFree($0) }) {
            copies.append(copies.remove(at: free))
        } else {
            copies.append(Copy(tables: copies[newest].tables.copy(), position: copies[newest].position))
            if copies.count > Self.most { copies.removeFirst() }
        }
        follow(copies.count - 1)
        trim()
        return copies[copies.count - 1].tables
    }

    /// Lets the copies follow that nobody reads, so that they let go of SAs that are gone.
    mutating func catchUp() {
        for index in copies.indices where copies[index].position < end && isFree(index) { follow(index) }
        trim()
    }

    private mutating func isFree(_ index: Int) -> Bool { isKnownUniquelyReferenced(&copies[index].tables) }

    private mutating func follow(_ index: Int) {
        copies[index].tables.apply(log[(copies[index].position - start)...])
        copies[index].position = end
    }

    /// Forgets changes that every copy has.
    private mutating func trim() {
        let position = copies.map(\.position).min() ?? end
        log.removeFirst(position - start)
        start = position
    }
}

/// One change of what workers look up.
enum TableChange {
    case policy(slot: Int, StoredPolicy?)
    /// The SAs of an outbound policy.
    case links(slot: Int, PolicyLinks?)
    case outbound(number: UInt64, OutboundSA?)
    case clearInbound(slot: Int)
    case inbound(slot: Int, InboundTables.Member, InboundLink)
}

/// Policies and SAs as workers read them: one of the copies that take turns (`TablePool`). It keeps alive what its tables
/// point to.
final class TableSet {
    let policies: PolicyTables
    let outbound: OutboundTables
    let inbound: InboundTables

    init(workers: Int) {
        policies = PolicyTables(workers: workers)
        outbound = OutboundTables()
        inbound = InboundTables()
    }

    private init(copying other: TableSet) {
        policies = other.policies.copy()
        outbound = other.outbound.copy()
        inbound = other.inbound.copy()
    }

    func copy() -> TableSet { TableSet(copying: self) }

    /// Nobody reads the tables while this runs.
    func apply(_ changes: some Sequence<TableChange>) {
        for change in changes {
            switch change {
            case .policy(let slot, let policy): policies.set(slot, to: policy)
            case .links(let slot, let links): outbound.set(policy: slot, to: links)
            case .outbound(let number, let association): outbound.set(number: number, to: association)
            case .clearInbound(let slot): inbound.clear(slot)
            case .inbound(let slot, let member, let link): inbound.set(slot, to: member, link: link)
            }
        }
        policies.finish()
    }
}
