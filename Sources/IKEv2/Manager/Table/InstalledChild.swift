/// A CHILD_SA that the dataplane has, in one or both directions.
final class InstalledChild {
    var sa: ChildSA
    /// The session that it belongs to; another one after a rekey of the IKE SA.
    var sessionID: UInt32
    var isInbound = false
    var isOutbound = false
    /// The outbound half waits for its turn, at most until then, nanoseconds; nil: it does not.
    var takesOverBy: UInt64?
    /// Who has its networks (`NetworkHolders`); nil where a connection is for one peer only.
    var peer: Identity?
    /// Replaced or deleted: only packets under way still use it.
    var isDraining = false

    init(_ sa: ChildSA, sessionID: UInt32) {
        self.sa = sa
        self.sessionID = sessionID
    }

    /// Both ends have it, whether or not our packets go through it yet.
    var isUp: Bool { isOutbound || takesOverBy != nil }
}
