/// Counters since the manager was made. Every limit has a counter of what it has refused.
package struct ManagerCounters: Hashable, Sendable {
    /// Datagrams given to `receive`.
    package var received: UInt64 = 0
    /// Datagrams sent, each fragment counted, keepalives not.
    package var sent: UInt64 = 0
    package var keepalivesSent: UInt64 = 0
    /// Datagrams that are no IKE message: too short, wrong lengths, malformed payloads.
    package var malformed: UInt64 = 0
    /// Messages of another major version (RFC 7296 section 2.5).
    package var wrongVersion: UInt64 = 0
    /// Messages for IKE SAs that we do not have (RFC 7296 section 2.21.4).
    package var unknownSPI: UInt64 = 0
    /// Liveness checks because of an unprotected notice, or because a peer's packets stayed away (RFC 7296 section 2.4).
    package var peersDoubted: UInt64 = 0
    /// Negotiations because a configured peer went on with SAs that we do not have.
    package var peersCalled: UInt64 = 0
    /// Unprotected error responses: INVALID_IKE_SPI, INVALID_MAJOR_VERSION, NO_PROPOSAL_CHOSEN for nobody's address.
    package var unprotectedErrorsSent: UInt64 = 0
    /// The errors that the limit of such answers has suppressed.
    package var unprotectedErrorsSuppressed: UInt64 = 0

    /// IKE_SA_INIT requests from addresses that no connection is for.
    package var withoutConnection: UInt64 = 0
    /// IKE_SA_INIT requests answered with a cookie (RFC 7296 section 2.6).
    package var cookiesSent: UInt64 = 0
    package var cookiesAccepted: UInt64 = 0
    /// Wrong or outdated cookies; a new one is sent.
    package var cookiesRejected: UInt64 = 0
    /// Refused by `maximumHalfOpen`, or by strangers' half of it.
    package var refusedHalfOpen: UInt64 = 0
    /// Refused by `maximumHalfOpenPerAddress`, of the address or of its network.
    package var refusedHalfOpenPerAddress: UInt64 = 0
    /// The requests of strangers that were refused because their share of the processor was used up.
    package var refusedForTime: UInt64 = 0
    /// Answers to strangers on our own link that were held back: each costs the kernel a neighbour.
    package var answersHeldBack: UInt64 = 0
    /// Refused by `maximumSessions`.
    package var refusedSessions: UInt64 = 0
    /// Fragmented messages beyond `maximumFragmentedMessageInBytes`, or in more than 128 pieces.
    package var fragmentedMessagesRefused: UInt64 = 0
    /// Negotiations of peers given up by `halfOpenTimeoutInSeconds`.
    package var halfOpenTimeouts: UInt64 = 0
    /// Packets' wishes for an SA that was being negotiated already, or that has failed and has to wait.
    package var acquiresSuppressed: UInt64 = 0

    /// Negotiations that we began, and those of peers that got past the limits.
    package var initiated: UInt64 = 0
    package var responded: UInt64 = 0
    package var established: UInt64 = 0
    package var failed: UInt64 = 0
    package var peersDead: UInt64 = 0
    package var childrenUp: UInt64 = 0
    package var childrenRekeyed: UInt64 = 0
    package var installationsFailed: UInt64 = 0

    /// Gauges: now, not since the start.
    package var halfOpen: Int = 0
    package var sessions: Int = 0

    package init() {}
}
