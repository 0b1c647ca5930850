import Cryptography
import IPsec
import Packets

/// From the words of a line to an SA: what is missing, what contradicts, what is unwise.
extension XfrmStateParser {
    mutating func finish(_ defaultReplayWindow: Int) throws(ConfigurationProblem) -> SAParameters? {
        if !hasProtocol { reportMissing("proto", "add 'proto esp'") }
        if !hasTunnelMode {
            reportMissing("mode", "add 'mode tunnel': Linux takes a line without it as transport mode")
        }
        guard let source else { return reportMissing("src", "add 'src' and the outer source address") }
        guard let destination else { return reportMissing("dst", "add 'dst' and the outer destination address") }
        guard let spi else { return reportMissing("spi", "add 'spi' and a number from 256 (0x100) on") }
        if source.family != destination.family {
            cursor.report(
                command, "the outer addresses \(source) and \(destination) are of different families",
                "give two IPv4 or two IPv6 addresses")
        }
        let window = checkedReplayWindow(defaultReplayWindow)
        checkSequence()
        let (transform, key) = try algorithms.transform(command, &cursor)
        warnAboutManualKeys(transform, isWindowAskedFor: (replayWindow?.value ?? 0) > 0)
        return SAParameters(
            spi: spi, source: source, destination: destination, transform: transform, key: key,
            requestID: requestID, replayWindow: window, extendedSequenceNumbers: flags.extendedSequenceNumbers != nil,
            encapsulation: encapsulation, selectors: selector.map { [$0] } ?? [], lifetime: lifetime,
            initialSequence: Sequence.whole(sequence.outbound),
            initialReplaySequence: Sequence.whole(sequence.inbound), copyDSCP: !flags.keepsDSCPInside,
            ecn: !flags.noECN, dontFragment: flags.noPathMTUDiscovery ? .clear : .copy, isManual: true)
    }

    @discardableResult
    private mutating func reportMissing(_ what: String, _ remedy: String) -> SAParameters? {
        cursor.report(command, "'\(what)' is missing", remedy)
        return nil
    }

    private mutating func checkedReplayWindow(_ defaultSize: Int) -> Int {
        guard let (word, value) = replayWindow else {
            if let esn = flags.extendedSequenceNumbers, defaultSize == 0 {
                cursor.report(esn, "extended sequence numbers need a replay window", "add 'replay-window 1024'")
            }
            return defaultSize
        }
        if value != 0, value < 32 {
            cursor.report(word, "a window of \(value) packets is not supported", "use 0 (off), or 32 to 65536")
        }
        if value == 0, let esn = flags.extendedSequenceNumbers {
            cursor.report(esn, "extended sequence numbers need a replay window", "use 'replay-window 1024'")
        }
        return value
    }

    private mutating func checkSequence() {
        guard let word = sequence.highWord, flags.extendedSequenceNumbers == nil else { return }
        if sequence.outbound.high != 0 || sequence.inbound.high != 0 {
            cursor.report(word, "a high half needs extended sequence numbers", "add 'flag esn'")
        }
    }

    private mutating func warnAboutManualKeys(_ transform: ESPTransform, isWindowAskedFor: Bool) {
        if transform.isCounterMode {
            let rule =
                if case .aesCTR = transform.encryption { "RFC 3686" } else { "RFC 4106 section 2" }
            cursor.warn(
                command, "\(transform) with a manual key: an IV that comes twice breaks it (\(rule))",
                "never use the key again after a restart of a peer that does not remember its IVs; better use IKE")
        }
        if isWindowAskedFor {
            cursor.warn(
                command,
                "replay protection with a manual key: when the sender restarts, its sequence begins at 1 again",
                "restart both sides together, or use 'replay-window 0' (RFC 4303 section 5)")
        }
        for name in lifetime.uselessSoftLimits {
            cursor.warn(command, "\(name) is not below the hard limit", "make it smaller")
        }
    }
}
