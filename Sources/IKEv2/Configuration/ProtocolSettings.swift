/// What holds for all sessions: times, limits, sizes. Every field is a flag of `sluice run`.
public struct ProtocolSettings: Hashable, Sendable {
    /// Until a request is sent again for the first time.
    public var retransmitTimeoutInMilliseconds: UInt64 = 1000
    /// Each further wait is so many times the one before.
    public var retransmitBase = 1.8
    /// Repetitions before the peer counts as dead.
    public var retransmitTries: UInt32 = 5
    /// Silence on a NATed path after which a keepalive is sent (RFC 3948 section 4); 0: never.
    public var keepaliveInSeconds: UInt64 = 20
    /// Largest IKE datagram, headers of IP and UDP included, before it is fragmented (RFC 7383).
    public var fragmentSizeInBytes = 1280
    /// Content of a message that comes in fragments; a longer one is dropped.
    public var maximumFragmentedMessageInBytes = 65_535
    /// Unfinished negotiations of peers; more are refused.
    public var maximumHalfOpen = 4096
    /// Unfinished negotiations of one peer address.
    public var maximumHalfOpenPerAddress = 64
    /// Unfinished negotiations from which on cookies are asked for (RFC 7296 section 2.6).
    public var cookieThreshold = 32
    /// How long a negotiation of a peer may stay unfinished.
    public var halfOpenTimeoutInSeconds: UInt64 = 30
    /// IKE SAs in all, half-open ones included; more of peers are refused.
    public var maximumSessions = 100_000
    /// CHILD_SAs of one IKE SA, those on their way out included; more are refused with NO_ADDITIONAL_SAS. A rekey is not,
    /// as long as there are less than twice as many.
    public var maximumChildren = 256
    /// How long the old inbound SA is kept after a rekey, for packets that are under way.
    public var drainInSeconds: UInt64 = 5

    public init() {}
}
