import IPsec
import Packets

/// Virtual addresses, each of one peer. A lease is that of the two identities, not of an IKE SA: it survives rekeys and
/// reauthentication. An address that was released is remembered for who had it, and goes to somebody else only when its
/// pool has no other.
final class AddressLeases {
    /// Two identities of one connection: who proves its identity to another connection is another peer.
    struct Holder: Hashable {
        var connection: String
        var identities: IdentityPair
    }

    private struct Lease {
        var address: IPAddress
        var isReleased = false
    }

    private var leases: [Holder: Lease] = [:]
    /// Who has an address, or had it last.
    private var holders: [IPAddress: Holder] = [:]
    /// Holders that may lose their address, the first released first.
    private var released: [Holder] = []
    /// Addresses that peers have given to us.
    private var given: [Holder: IPAddress] = [:]
    /// Where the search of a pool goes on.
    private var next: [AddressRange: IPAddress] = [:]

    /// Leases that are kept, those in use aside: peers with many identities do not fill the memory.
    private let mostRemembered: Int

    init(mostRemembered: Int = 65_536) { self.mostRemembered = mostRemembered }

    // MARK: Taking and giving back

    /// The address of a holder, the one it has or had if that is of the pool; nil: all of them are in use.
    func take(for holder: Holder, from pool: AddressRange) -> IPAddress? {
        if let address = leases[holder]?.address, pool.contains(address) {
            renew(holder)
            return address
        }
        guard let address = unused(in: pool) ?? reclaimed(in: pool) else { return nil }
        forget(holder)
        leases[holder] = Lease(address: address)
        holders[address] = holder
        return address
    }

    /// Notes the address that the peer has given to us.
    func accept(_ address: IPAddress, for holder: Holder) { given[holder] = address }

    /// The last IKE SA of a holder is gone.
    func release(_ holder: Holder) {
        given[holder] = nil
        guard leases[holder]?.isReleased == false else { return }
        leases[holder]?.isReleased = true
        released.append(holder)
        if released.count > mostRemembered { forget(released[0]) }
    }

    /// The addresses in use.
    func addresses(of holder: Holder) -> LeasedAddresses {
        let lease = leases[holder].flatMap { $0.isReleased ? nil : $0.address }
        return LeasedAddresses(local: given[holder], remote: lease)
    }

    // MARK: Free addresses

    private func renew(_ holder: Holder) {
        guard leases[holder]?.isReleased == true else { return }
        leases[holder]?.isReleased = false
        released.removeAll { $0 == holder }
    }

    private func forget(_ holder: Holder) {
        guard let lease = leases.removeValue(forKey: holder) else { return }
        holders[lease.address] = nil
        if lease.isReleased { released.removeAll { $0 == holder } }
    }

    /// An address that nobody has or had. Of one more than there are leases one is free, unless the pool is smaller.
    private func unused(in pool: AddressRange) -> IPAddress? {
        let start = next[pool] ?? pool.first
        var address = start
        for _ in 0...holders.count {
            let following = address == pool.last ? pool.first : address.successor
            if holders[address] == nil {
                next[pool] = following
                return address
            }
            address = following
            if address == start { return nil }
        }
        return nil
    }

    /// The address that was released first.
    private func reclaimed(in pool: AddressRange) -> IPAddress? {
        let oldest = released.first { leases[$0].map { pool.contains($0.address) } ?? false }
        guard let oldest, let address = leases[oldest]?.address else { return nil }
        forget(oldest)
        return address
    }
}

extension AddressLeases {
    /// The addresses of a session's two sides; before both have proved who they are there are none.
    func addresses(of session: Session) -> LeasedAddresses {
        guard let connection = session.connection, let identities = session.identities else { return LeasedAddresses() }
        return addresses(
            of: Holder(
                connection: connection.name,
                identities: IdentityPair(local: identities.local, remote: identities.remote)))
    }
}
