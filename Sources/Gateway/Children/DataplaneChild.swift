import IKEv2
import IPsec

/// What there is of one CHILD_SA in the dataplane. Kept by its inbound SPI.
struct DataplaneChild {
    let lane: ChildOwners.Lane
    let owner: Int
    var inbound: InboundSA?
    var outbound: OutboundSA?
    var inboundClaims: [PolicyBook.Claim] = []
    var outboundClaims: [PolicyBook.Claim] = []
    /// When the manager is told of a soft limit (again), nanoseconds. A rekeying may come to nothing.
    var softLimitDue: UInt64 = 0
    var toldHard = false
    /// The host has lost the address that the outbound SA sends from: workers do not have it.
    var isSuspended = false
    /// Whether what it sends is answered.
    var silence = Silence()

    /// "connection/child".
    var name: String { "\(lane.connection)/\(lane.child)" }

    var isEmpty: Bool { inbound == nil && outbound == nil }

    /// What either direction has reached.
    var events: SAEvents { (inbound?.events ?? []).union(outbound?.events ?? []) }

    /// The limit that nobody configured: the peer's sequence numbers run out, and it does not do anything about it.
    var isNearLastSequence: Bool {
        guard let inbound, !inbound.parameters.extendedSequenceNumbers else { return false }
        return inbound.usage.sequence >= ChildParameters.lastComfortableSequence
    }
}
