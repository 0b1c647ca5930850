import Packets

/// Times that rekeys of children and of IKE SAs have in common.
enum RekeyTimes {
    /// The time at which a rekey that came to nothing is tried again: after 30 s, 1, 2, 4 and then 5 minutes, and
    /// several times before the hard limit. `failures`: how often it came to nothing, one after the other.
    static func retry(_ failures: Int, before end: Instant?, _ step: Step) -> Instant {
        var pause = min(Duration.seconds(30 << min(max(failures, 1) - 1, 4)), .seconds(300))
        if let end { pause = min(pause, max(end - step.now, .zero) / 3) }
        return step.now + max(pause, .seconds(1))
    }

    /// The time that the peer has to delete what it has replaced: longer than its repetitions take, if it is as patient
    /// as we are.
    static func grace(_ settings: ProtocolSettings) -> Duration {
        max(.seconds(120), MessageWindow.patience(settings) + .seconds(15))
    }
}
