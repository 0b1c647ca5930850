import ControlPlane
import IKEv2
import Telemetry

/// What IKE counts, in the order of status documents.
enum NegotiationMetrics {
    static let all: [Metric<ManagerCounters>] = [
        Metric("sessions", \.sessions, .count, kind: .gauge, "IKE SAs now"),
        Metric("half-open", \.halfOpen, .count, kind: .gauge, "IKE SAs now that peers negotiate"),
        Metric("initiated", \.initiated, .count, "Negotiations that we began"),
        Metric("responded", \.responded, .count, "Negotiations of peers that got past the limits"),
        Metric("established", \.established, .count, "IKE SAs established"),
        Metric("failed", \.failed, .count, "Negotiations that failed"),
        Metric("peers-dead", \.peersDead, .count, "Peers that stopped answering"),
        Metric("children-up", \.childrenUp, .count, "CHILD_SAs installed"),
        Metric("children-rekeyed", \.childrenRekeyed, .count, "CHILD_SAs rekeyed"),
        Metric("installations-failed", \.installationsFailed, .count, "CHILD_SAs that could not be installed"),
        Metric("received", \.received, .datagrams, "IKE datagrams received"),
        Metric("sent", \.sent, .datagrams, "IKE datagrams sent, without keepalives"),
        Metric("keepalives-sent", \.keepalivesSent, .datagrams, "NAT keepalives sent"),
        Metric("malformed", \.malformed, .datagrams, "Datagrams that are not IKE messages"),
        Metric("wrong-version", \.wrongVersion, .messages, "Messages of another major version (RFC 7296 section 2.5)"),
        Metric("unknown-spi", \.unknownSPI, .messages, "Messages for unknown IKE SAs (RFC 7296 section 2.21.4)"),
        Metric(
            "peers-doubted", \.peersDoubted, .count, "Liveness checks after an unprotected notice or silence of packets"
        ),
        Metric("peers-called", \.peersCalled, .count, "Negotiations because a peer uses SAs that we do not have"),
        Metric("unprotected-errors-sent", \.unprotectedErrorsSent, .messages, "Unprotected error responses"),
        Metric(
            "unprotected-errors-suppressed", \.unprotectedErrorsSuppressed, .messages,
            "Unprotected error responses that the limit has suppressed"),
        Metric(
            "without-connection", \.withoutConnection, .messages,
            "IKE_SA_INIT requests from addresses without a connection"),
        Metric("cookies-sent", \.cookiesSent, .messages, "IKE_SA_INIT requests answered with a cookie"),
        Metric("cookies-accepted", \.cookiesAccepted, .messages, "IKE_SA_INIT requests with a right cookie"),
        Metric(
            "cookies-rejected", \.cookiesRejected, .messages, "IKE_SA_INIT requests with a wrong or outdated cookie"),
        Metric("refused-half-open", \.refusedHalfOpen, .messages, "Refusals by --max-half-open"),
        Metric(
            "refused-half-open-per-address", \.refusedHalfOpenPerAddress, .messages,
            "Refusals by the limit of one address or network"),
        Metric(
            "refused-for-time", \.refusedForTime, .messages, "Refusals of strangers for their share of the processor"),
        Metric("answers-held-back", \.answersHeldBack, .messages, "Answers to strangers on our own link held back"),
        Metric("refused-sessions", \.refusedSessions, .messages, "Refusals by the limit of IKE SAs"),
        Metric("half-open-timeouts", \.halfOpenTimeouts, .count, "Negotiations of peers given up for their age"),
        Metric("acquires-suppressed", \.acquiresSuppressed, .count, "Packets' wishes for an SA that has to wait"),
        Metric(
            "fragmented-messages-refused", \.fragmentedMessagesRefused, .messages,
            "Fragmented messages of too many bytes or pieces"),
    ]

    /// What the IKE sockets count. `others` are the socket's view of what the manager counts.
    static let sockets: (listed: [Metric<IKEDatagramCounters>], others: [Metric<IKEDatagramCounters>]) = (
        [
            Metric("keepalives-received", \.keepalivesReceived, .datagrams, "NAT keepalives received"),
            Metric("esp-in-ike-socket", \.espReceived, .datagrams, "ESP in UDP that the kernel gave to IKE"),
            Metric("malformed-datagrams", \.malformed, .datagrams, "Datagrams too short, or to an unknown address"),
            Metric("send-failures", \.sendFailures, .datagrams, "Datagrams that the kernel refused to send"),
        ],
        [
            Metric("datagrams-received", \.received, .datagrams, "Datagrams read"),
            Metric("datagrams-sent", \.sent, .datagrams, "Datagrams written"),
            Metric("keepalives-written", \.keepalivesSent, .datagrams, "NAT keepalives written"),
        ]
    )
}
