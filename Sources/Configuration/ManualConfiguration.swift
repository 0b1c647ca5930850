import IPsec
import Packets
import Policy

/// States and policies that were written by hand, ready to be set up.
package struct ManualConfiguration: Sendable {
    /// The entries in the order of the file.
    package var states: [SAParameters]
    /// The entries in the order of the file.
    package var policies: [SecurityPolicy]
    package var warnings: [Problem]
    /// Lines that are not served. What a policy among them covers is dropped.
    package var errors: [Problem] = []

    /// The same configuration if all of it can be served; throws every error otherwise.
    package func checked() throws(ConfigurationErrors) -> ManualConfiguration {
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        return self
    }

    package init(
        states: [SAParameters] = [], policies: [SecurityPolicy] = [], warnings: [Problem] = []
    ) {
        self.states = states
        self.policies = policies
        self.warnings = warnings
    }
}

/// Readable lines of what would be set up, for `sluice check`. Never a key.
extension ManualConfiguration: CustomStringConvertible {
    package var description: String {
        var lines: [String] = []
        lines.append("\(states.count) \(states.count == 1 ? "state" : "states")")
        for state in states { lines += Self.describe(state) }
        lines.append("\(policies.count) \(policies.count == 1 ? "policy" : "policies")")
        for policy in policies { lines.append("  \(Self.describe(policy))") }
        if !warnings.isEmpty {
            lines.append("\(warnings.count) \(warnings.count == 1 ? "warning" : "warnings")")
            for warning in warnings { lines.append("  \(warning)") }
        }
        return lines.joined(separator: "\n")
    }

    private static func describe(_ state: SAParameters) -> [String] {
        var first = "  \(state.source) -> \(state.destination) esp spi \(state.spi)"
        first += " reqid \(state.requestID) \(state.mode.rawValue) mode, \(state.transform)"
        var traits = [state.replayWindow == 0 ? "no replay check" : "replay window \(state.replayWindow)"]
        traits.append(state.extendedSequenceNumbers ? "64-bit sequence numbers" : "32-bit sequence numbers")
        if let udp = state.encapsulation { traits.append("in UDP \(udp.sourcePort) -> \(udp.destinationPort)") }
        if state.initialSequence > 0 { traits.append("sends from sequence number \(state.initialSequence) on") }
        if state.initialReplaySequence > 0 { traits.append("has seen up to \(state.initialReplaySequence)") }
        if !state.copyDSCP { traits.append("outer DSCP 0") }
        if !state.ecn { traits.append("no ECN") }
        if state.dontFragment != .copy { traits.append("DF \(state.dontFragment.rawValue)") }
        var lines = [first, "    " + traits.joined(separator: ", ")]
        lines += state.selectors.map { "    only \($0)" }
        let limits = describe(state.lifetime)
        if !limits.isEmpty { lines.append("    limits: " + limits.joined(separator: ", ")) }
        return lines
    }

    private static func describe(_ lifetime: Lifetime) -> [String] {
        let limits: [(String, UInt64?, UInt64?)] = [
            ("bytes", lifetime.softBytes, lifetime.hardBytes),
            ("packets", lifetime.softPackets, lifetime.hardPackets),
            ("seconds", lifetime.softSecondsAfterAdd, lifetime.hardSecondsAfterAdd),
            ("seconds after first use", lifetime.softSecondsAfterUse, lifetime.hardSecondsAfterUse),
        ]
        return limits.flatMap { unit, soft, hard in
            [soft.map { "soft \($0) \(unit)" }, hard.map { "hard \($0) \(unit)" }].compactMap { $0 }
        }
    }

    private static func describe(_ policy: SecurityPolicy) -> String {
        "\(policy) priority \(policy.priority)\(policy.index == 0 ? "" : " index \(policy.index)")"
    }
}
