/// Counters since the manager was made. Every limit has a counter of what it has refused.
public struct ManagerCounters: Hashable, Sendable {
    /// Datagrams given to `receive`.
    public var received: UInt64 = 0
    /// Datagrams sent, each fragment counted, keepalives not.
    public var sent: UInt64 = 0
    public var keepalivesSent: UInt64 = 0
    /// Datagrams that are no IKE message: too short, wrong lengths, malformed payloads.
    public var malformed: UInt64 = 0
    /// Messages of another major version (RFC 7296 section 2.5).
    public var wrongVersion: UInt64 = 0
    /// Messages for IKE SAs that we do not have (RFC 7296 section 2.21.4).
    public var unknownSPI: UInt64 = 0
    /// Liveness checks because of an unprotected notice, or because a peer's packets stayed away (RFC 7296 section 2.4).
    public var peersDoubted: UInt64 = 0
    /// Negotiations because a configured peer went on with SAs that we do not have.
    public var peersCalled: UInt64 = 0
    /// Unprotected error responses: INVALID_IKE_SPI, INVALID_MAJOR_VERSION, NO_PROPOSAL_CHOSEN for nobody's address.
    public var unprotectedErrorsSent: UInt64 = 0
    /// The errors that the limit of such answers has suppressed.
    public var unprotectedErrorsSuppressed: UInt64 = 0

    /// IKE_SA_INIT requests from addresses that no connection is for.
    public var withoutConnection: UInt64 = 0
    /// IKE_SA_INIT requests answered with a cookie (RFC 7296 section 2.6).
    public var cookiesSent: UInt64 = 0
    public var cookiesAccepted: UInt64 = 0
    /// Wrong or outdated cookies; a new one is sent.
    public var cookiesRejected: UInt64 = 0
    /// Refused by `maximumHalfOpen`, or by strangers' half of it.
    public var refusedHalfOpen: UInt64 = 0
    /// Refused by `maximumHalfOpenPerAddress`, of the address or of its network.
    public var refusedHalfOpenPerAddress: UInt64 = 0
    /// The requests of strangers that were refused because their share of the processor was used up.
    public var refusedForTime: UInt64 = 0
    /// Answers to strangers on our own link that were held back: each costs the kernel a neighbour.
    public var answersHeldBack: UInt64 = 0
    /// Refused by `maximumSessions`.
    public var refusedSessions: UInt64 = 0
    /// Fragmented messages beyond `maximumFragmentedMessageInBytes`, or in more than 128 pieces.
    public var fragmentedMessagesRefused: UInt64 = 0
    /// Negotiations of peers given up by `halfOpenTimeoutInSeconds`.
    public var halfOpenTimeouts: UInt64 = 0
    /// Packets' wishes for an SA that was being negotiated already, or that has failed and has to wait.
    public var acquiresSuppressed: UInt64 = 0

    /// Negotiations that we began, and those of peers that got past the limits.
    public var initiated: UInt64 = 0
    public var responded: UInt64 = 0
    public var established: UInt64 = 0
    public var failed: UInt64 = 0
    public var peersDead: UInt64 = 0
    public var childrenUp: UInt64 = 0
    public var childrenRekeyed: UInt64 = 0
    public var installationsFailed: UInt64 = 0

    /// Gauges: now, not since the start.
    public var halfOpen: Int = 0
    public var sessions: Int = 0

    public init() {}
}
