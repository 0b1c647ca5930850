import Packets

/// The host's own addresses as the steering program is to know them. What could not be entered is tried again until it is: a
/// packet for an address that the program does not know is the kernel's, ESP too.
struct OwnAddresses {
    /// What the program knows, as far as it is known to know it; nil after a failure.
    private var entered: Set<IPAddress>?

    /// Whether the last try failed.
    var areStale: Bool { entered == nil }

    init() { entered = [] }

    /// Enters what has changed, or everything after a failure.
    mutating func set<Failure: Error>(
        _ addresses: Set<IPAddress>, by enter: (Set<IPAddress>) throws(Failure) -> Void
    ) throws(Failure) {
        guard addresses != entered else { return }
        entered = nil
        try enter(addresses)
        entered = addresses
    }
}
