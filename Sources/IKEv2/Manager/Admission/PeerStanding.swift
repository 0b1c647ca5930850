import Packets

/// What is known of the address that a message comes from. Whoever is known has slots and processor time that no stranger
/// can use up.
enum PeerStanding: Int, CaseIterable {
    /// A connection names exactly this address, by itself or by a host name, or an IKE SA is established with it.
    case known
    case stranger
}

extension SessionManager {
    func standing(of address: IPAddress) -> PeerStanding {
        if connectionTable.names(address) || names.holds(address) || table.hasEstablished(at: address) { return .known }
        return .stranger
    }

    /// Whether messages from an address come before those of strangers. What this says changes with `addressesChanged`.
    public func isKnown(_ address: IPAddress) -> Bool { standing(of: address) == .known }

    /// All addresses that are known, in no order.
    public var knownAddresses: Set<IPAddress> {
        connectionTable.namedAddresses.union(names.allAddresses).union(table.establishedAddresses)
    }
}
