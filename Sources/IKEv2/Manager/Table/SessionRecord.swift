import Packets

/// What the manager keeps beside a session.
final class SessionRecord {
    let session: Session
    var isEstablished = false
    /// When it came to be here, and when it was established; nanoseconds.
    var beganAt: UInt64 = 0
    var establishedAt: UInt64?
    /// Known once it is established.
    var identities: IdentityPair?
    /// The connection by whose name the session is found.
    var filedUnder: String?
    /// Under which a peer's repeated IKE_SA_INIT request finds the session.
    var initialKey: InitialKey?
    /// The hash of that request.
    var initialHash: [UInt8] = []
    /// The half-open slot that it holds; nil once it is established or refused, and for our own.
    var slot: HalfOpenLimits.Slot?
    /// The address under which the table counts an established session.
    var countedAddress: IPAddress?
    /// The earliest time in the timer queue for this session. A later deadline of the session needs no new entry: when
    /// this time has come, the deadline is looked at again.
    var queuedDeadline: UInt64?
    /// When something was last sent, nanoseconds.
    var lastSentAt: UInt64 = 0
    var hasKeepalives = false
    /// Inbound SPIs of its SAs that the dataplane has, those that only drain left out.
    var installed: [UInt32] = []
    /// What it was begun for; nil when the peer began, and once that is settled.
    var attempt: ConnectionAttempt?
    /// Names of the children that it was begun with.
    var begunWith: Set<String> = []
    /// Names of children that were asked for after that.
    var requested: Set<String> = []
    /// Names of children that were asked for and are neither up nor refused yet.
    var awaitedChildren: Set<String> = []
    /// How each of them was asked for.
    var calls: [String: ChildCall] = [:]
    /// Children that end because we want it: nothing follows from their end.
    var unwantedChildren: Set<UInt32> = []
    /// The whole session ends because we want it.
    var isUnwanted = false
    /// What children were like that go with the actions at hand, by our numbers for them.
    var departed: [UInt32: ChildSAStatus] = [:]
    /// What the session was like before it ended; nil: it has not.
    var last: IKESAStatus?
    /// The session that this one takes over from, once all its children are there (reauthentication).
    var predecessor: UInt32?
    /// Its successor is being negotiated.
    var isBeingReplaced = false
    /// Whether the peer still has it is being found out.
    var doubt: Doubt?
    /// It was silent when it was doubted, at that time, and its successor is negotiated for that.
    var lostAt: UInt64?
    /// Before that time, in nanoseconds, it is not doubted again.
    var trustedUntil: UInt64 = 0
    /// Names of children to which the peer refuses new keys: a successor of the whole session is wanted for them.
    var unreplaced: Set<String> = []
    /// Successors that did not come up, one after the other.
    var failedReplacements = 0
    /// When it ends because another one took its place (`unique = replace`), nanoseconds; nil: it does not.
    var supersededAt: UInt64?

    init(_ session: Session) { self.session = session }

    var id: UInt32 { session.id }

    /// The SPI that we have chosen: by it the peer's messages find the session.
    var ownSPI: UInt64 { session.role == .initiator ? session.initiatorSPI : session.responderSPI }
}

/// Who an IKE SA is between. Names are equal whatever the case, as they match.
struct IdentityPair: Hashable {
    let local: Identity
    let remote: Identity
    private let foldedLocal: Identity
    private let foldedRemote: Identity

    init(local: Identity, remote: Identity) {
        self.local = local
        self.remote = remote
        foldedLocal = local.folded
        foldedRemote = remote.folded
    }

    static func == (one: IdentityPair, other: IdentityPair) -> Bool {
        one.foldedLocal == other.foldedLocal && one.foldedRemote == other.foldedRemote
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(foldedLocal)
        hasher.combine(foldedRemote)
    }
}

/// An IKE_SA_INIT request of a peer, before it knows our SPI. Only the whole message tells a repetition from another
/// negotiation (RFC 7296 section 2.1): it is looked at once the rest fits.
struct InitialKey: Hashable {
    var initiatorSPI: UInt64
    var remote: Endpoint
}
