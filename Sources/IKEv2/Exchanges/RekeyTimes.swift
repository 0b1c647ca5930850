/// Times that rekeys of children and of IKE SAs have in common, nanoseconds.
enum RekeyTimes {
    /// The time at which a rekey that came to nothing is tried again: after 30 s, 1, 2, 4 and then 5 minutes, and
    /// several times before the hard limit. `failures`: how often it came to nothing, one after the other.
    static func retry(_ failures: Int, before end: UInt64?, _ step: Step) -> UInt64 {
        var pause = min(UInt64.seconds(30) << UInt64(min(max(failures, 1) - 1, 4)), .seconds(300))
        if let end { pause = min(pause, (end > step.now ? end - step.now : 0) / 3) }
        return step.now.addingWithoutOverflow(max(pause, .seconds(1)))
    }

    /// The time that the peer has to delete what it has replaced: longer than its repetitions take, if it is as patient
    /// as we are.
    static func grace(_ settings: ProtocolSettings) -> UInt64 {
        max(.seconds(120), MessageWindow.patience(settings).addingWithoutOverflow(.seconds(15)))
    }
}
