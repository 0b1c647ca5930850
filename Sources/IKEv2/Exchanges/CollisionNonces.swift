/// Nonces that decide which of two exchanges is undone that rekey the same SA at once (RFC 7296 section 2.8.1): the one with
/// the lowest of the four. Its initiator deletes what it made.
struct CollisionNonces {
    let initiator: [UInt8]
    let responder: [UInt8]

    private var lowest: [UInt8] { Self.isLower(initiator, responder) ? initiator : responder }

    /// Octet by octet; one that ends is the lower one.
    private static func isLower(_ left: [UInt8], _ right: [UInt8]) -> Bool { left.lexicographicallyPrecedes(right) }

    /// Whether this exchange is the one to be undone.
    func loses(to other: CollisionNonces) -> Bool { Self.isLower(lowest, other.lowest) }
}
