import IKEv2

extension GatewayOptions {
    /// Checks where SAs come from, and the times and limits of IKE.
    func validateNegotiation() throws(OptionError) {
        if let xfrmBatch {
            if configuration != nil {
                throw OptionError(
                    flag: "--xfrm-batch", value: xfrmBatch,
                    reason: "keys are either written by hand or negotiated, not both in one gateway",
                    remedy: "leave out --config, or move the tunnel into the swanctl.conf")
            }
            if let keyLog {
                throw OptionError(
                    flag: "--ike-keylog", value: keyLog, reason: "with --xfrm-batch nothing is negotiated",
                    remedy: "leave it out; the keys are in \(xfrmBatch)")
            }
        }
        try validateRetransmission()
        try validateLimits()
    }

    private func validateRetransmission() throws(OptionError) {
        let timeout = Double(ike.retransmitTimeoutInMilliseconds) / 1000
        guard (0.1...60).contains(timeout) else {
            throw OptionError(
                flag: "--retransmit-timeout", value: "\(timeout)", reason: "out of range",
                remedy: "give 0.1 to 60 seconds")
        }
        guard (1...10).contains(ike.retransmitBase) else {
            throw OptionError(
                flag: "--retransmit-base", value: "\(ike.retransmitBase)", reason: "out of range",
                remedy: "give 1 (always the same wait) to 10")
        }
        try within("--retransmit-tries", Int(ike.retransmitTries), 1...60, "repetitions")
        var wait = timeout
        for _ in 0..<ike.retransmitTries { wait *= ike.retransmitBase }
        guard wait <= 3600 else {
            throw OptionError(
                flag: "--retransmit-tries", value: "\(ike.retransmitTries)",
                reason: "the last wait would be longer than an hour",
                remedy: "give fewer, or a smaller --retransmit-base or --retransmit-timeout")
        }
    }

    private func validateLimits() throws(OptionError) {
        try within("--keepalive", Int(clamping: ike.keepaliveInSeconds), 5...3600, unless: 0, "seconds (0: none)")
        try within("--ike-fragment-size", ike.fragmentSizeInBytes, 576...9_000, "bytes")
        try within("--ike-maximum-message", ike.maximumFragmentedMessageInBytes, 1_280...65_535, "bytes")
        try within("--maximum-sessions", ike.maximumSessions, 1...1_000_000, "IKE SAs")
        try within("--maximum-children", ike.maximumChildren, 1...65_536, "CHILD_SAs")
        try within("--maximum-half-open", ike.maximumHalfOpen, 1...1_000_000, "negotiations")
        try within("--maximum-half-open-per-address", ike.maximumHalfOpenPerAddress, 1...1_000_000, "negotiations")
        try within("--cookie-threshold", ike.cookieThreshold, 0...1_000_000, "negotiations")
        try within("--cookie-rate", Int(clamping: ike.cookieRate), 0...1_000_000, "requests a second")
        try within("--strangers-share", ike.strangersShareInPercent, 1...90, "percent")
        try within("--half-open-timeout", Int(clamping: ike.halfOpenTimeoutInSeconds), 1...3600, "seconds")
        try within("--drain", Int(clamping: ike.drainInSeconds), 0...300, "seconds")
    }
}
