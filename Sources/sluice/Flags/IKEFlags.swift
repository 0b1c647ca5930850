import ArgumentParser
import Gateway
import IKEv2

/// Times and limits of IKE that hold for all connections. What belongs to one connection is in the configuration.
struct IKEFlags: ParsableArguments {
    private static let defaults = ProtocolSettings()

    @Option(help: ArgumentHelp("Time until a request is repeated for the first time.", valueName: "seconds"))
    var retransmitTimeout = Double(defaults.retransmitTimeoutInMilliseconds) / 1000

    @Option(help: ArgumentHelp("Factor by which each further wait is longer.", valueName: "factor"))
    var retransmitBase = defaults.retransmitBase

    @Option(help: ArgumentHelp("Repetitions before a peer counts as dead.", valueName: "count"))
    var retransmitTries = defaults.retransmitTries

    @Option(
        help: ArgumentHelp(
            "Silence after which the mapping of a NAT is kept alive; 0: never.", valueName: "seconds"))
    var keepalive = defaults.keepaliveInSeconds

    @Option(
        help: ArgumentHelp(
            "Largest IP packet of an IKE message before it is fragmented (RFC 7383).", valueName: "bytes"))
    var ikeFragmentSize = defaults.fragmentSizeInBytes

    @Option(help: ArgumentHelp("Largest IKE message that may come in fragments.", valueName: "bytes"))
    var ikeMaximumMessage = defaults.maximumFragmentedMessageInBytes

    @Option(help: ArgumentHelp("IKE SAs; more of peers are refused.", valueName: "count"))
    var maximumSessions = defaults.maximumSessions

    @Option(help: ArgumentHelp("CHILD_SAs of one IKE SA; more are refused.", valueName: "count"))
    var maximumChildren = defaults.maximumChildren

    @Option(help: ArgumentHelp("Unfinished negotiations of peers; more are refused.", valueName: "count"))
    var maximumHalfOpen = defaults.maximumHalfOpen

    @Option(help: ArgumentHelp("Unfinished negotiations of one peer's address.", valueName: "count"))
    var maximumHalfOpenPerAddress = defaults.maximumHalfOpenPerAddress

    @Option(
        help: ArgumentHelp(
            "Unfinished negotiations from which on peers have to show that they can receive, with a cookie.",
            valueName: "count"))
    var cookieThreshold = defaults.cookieThreshold

    @Option(
        help: ArgumentHelp(
            "First requests a second from which on peers have to do so, known peers and strangers apart.",
            valueName: "count"))
    var cookieRate = defaults.cookieRate

    @Option(
        help: ArgumentHelp(
            "Processor time of the control thread that negotiations of strangers may take.", valueName: "percent"))
    var strangersShare = defaults.strangersShareInPercent

    @Option(help: ArgumentHelp("Time that a peer may leave its negotiation unfinished.", valueName: "seconds"))
    var halfOpenTimeout = defaults.halfOpenTimeoutInSeconds

    @Option(
        help: ArgumentHelp(
            "Time that packets may still come by an SA that was replaced.", valueName: "seconds"))
    var drain = defaults.drainInSeconds

    @Option(
        help: ArgumentHelp(
            """
            Write the keys of all SAs to a file, to decrypt captures: Wireshark's ikev2_decryption_table, and its esp_sa \
            beside it with .esp added to the name.
            """, valueName: "file"))
    var ikeKeylog: String?

    @Flag(
        help:
            "Let proposals name modp1024 and modp1536 (DH groups 2 and 5), for peers that have nothing better. RFC 8247 advises against it."
    )
    var allowWeak = false

    /// Out of range is left to who checks; but what no number can hold is refused here.
    func validate() throws {
        guard retransmitTimeout.isFinite, (0...1_000_000).contains(retransmitTimeout), retransmitBase.isFinite else {
            throw ValidationError("--retransmit-timeout \(retransmitTimeout): out of range; give 0.1 to 60 seconds")
        }
    }

    var settings: ProtocolSettings {
        var settings = ProtocolSettings()
        settings.retransmitTimeoutInMilliseconds = UInt64((retransmitTimeout * 1000).rounded())
        settings.retransmitBase = retransmitBase
        settings.retransmitTries = retransmitTries
        settings.keepaliveInSeconds = keepalive
        settings.fragmentSizeInBytes = ikeFragmentSize
        settings.maximumFragmentedMessageInBytes = ikeMaximumMessage
        settings.maximumSessions = maximumSessions
        settings.maximumChildren = maximumChildren
        settings.maximumHalfOpen = maximumHalfOpen
        settings.maximumHalfOpenPerAddress = maximumHalfOpenPerAddress
        settings.cookieThreshold = cookieThreshold
        settings.cookieRate = cookieRate
        settings.strangersShareInPercent = strangersShare
        settings.halfOpenTimeoutInSeconds = halfOpenTimeout
        settings.drainInSeconds = drain
        return settings
    }
}
