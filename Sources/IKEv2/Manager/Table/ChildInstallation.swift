/// A CHILD_SA that the dataplane has, in one or both directions.
final class ChildInstallation {
    var sa: ChildSA
    /// The session that it belongs to; another one after a rekey of the IKE SA.
    var sessionID: UInt32
    var isInbound = false
    var isOutbound = false
    /// The outbound half waits for its turn; nil: it does not.
    var succession: Succession?
    /// Who has its networks (`NetworkHolders`); nil where a connection is for one peer only.
    var peer: Identity?
    /// Replaced or deleted: only packets under way still use it.
    var isDraining = false

    init(_ sa: ChildSA, sessionID: UInt32) {
        self.sa = sa
        self.sessionID = sessionID
    }

    /// Both ends have it, whether or not our packets go through it yet.
    var isUp: Bool { isOutbound || succession != nil }
}

/// An outbound half that waits until the peer is known to have the SA. Times are in nanoseconds.
struct Succession {
    /// It waits no longer.
    let endsAt: UInt64
    let beganAt: UInt64
    /// The answer that made the SA has made its IKE SA too.
    let isFirstOfSession: Bool
    /// The id of the peer's next request in that IKE SA.
    let nextRequestID: UInt32
    /// When the peer was asked whether it is there; nil: not yet.
    var askedAt: UInt64?
}
