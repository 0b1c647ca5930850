/// The settings of all sessions: times, limits, sizes. Every field is a flag of `sluice run`.
package struct ProtocolSettings: Hashable, Sendable {
    /// Until a request is sent again for the first time. With the next two, a peer counts as dead after 165 s: several
    /// minutes, as RFC 7296 section 2.4 wants, and what swanctl.conf is written for.
    package var retransmitTimeoutInMilliseconds: UInt64 = 4000
    /// Each further wait is so many times the one before.
    package var retransmitBase = 1.8
    /// Repetitions before the peer counts as dead.
    package var retransmitTries: UInt32 = 5
    /// Silence on a NATed path after which a keepalive is sent (RFC 3948 section 4); 0: never.
    package var keepaliveInSeconds: UInt64 = 20
    /// Largest IKE datagram, headers of IP and UDP included, before it is fragmented (RFC 7383).
    package var fragmentSizeInBytes = 1280
    /// Content of a message that comes in fragments; a longer one is dropped.
    package var maximumFragmentedMessageInBytes = 65_535
    /// Unfinished negotiations of peers; more are refused. Strangers get half of them.
    package var maximumHalfOpen = 4096
    /// Unfinished negotiations of one peer address. A stranger's network has a share too: an IPv4 /24 four times this, an
    /// IPv6 /56 twice and a /48 four times; a /64 counts as an address.
    package var maximumHalfOpenPerAddress = 64
    /// Unfinished negotiations from which on cookies are asked for (RFC 7296 section 2.6).
    package var cookieThreshold = 32
    /// IKE_SA_INIT requests a second from which on cookies are asked for, of known peers and of strangers apart.
    package var cookieRate: UInt32 = 100
    /// Processor time of the control thread that strangers' negotiations may take.
    package var strangersShareInPercent = 25
    /// The longest time that a negotiation of a peer may stay unfinished; a stranger's at most 5 s when half of their slots are taken
    /// (RFC 8019 section 4.2).
    package var halfOpenTimeoutInSeconds: UInt64 = 30
    /// IKE SAs in all, half-open ones included; more of peers are refused.
    package var maximumSessions = 100_000
    /// CHILD_SAs of one IKE SA, those on their way out included; more are refused with NO_ADDITIONAL_SAS. A rekey is not,
    /// as long as there are less than twice as many.
    package var maximumChildren = 256
    /// The time that the old inbound SA is kept after a rekey, for packets that are under way.
    package var drainInSeconds: UInt64 = 5

    package init() {}
}
