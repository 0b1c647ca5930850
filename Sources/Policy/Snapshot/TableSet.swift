import IPsec

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
