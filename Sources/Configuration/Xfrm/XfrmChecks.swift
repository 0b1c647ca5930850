import Cryptography
import IPsec
import Packets
import Policy

/// Checks across the lines of a batch file.
enum XfrmChecks {
    static func check(
        file: String, states: [ParsedState], policies: [ParsedPolicy], errors: inout [Problem],
        warnings: inout [Problem]
    ) {
        let byRequestID = Dictionary(grouping: states.map(\.parameters), by: \.requestID)
        for policy in policies { check(policy, byRequestID, &errors, &warnings) }
        XfrmKeyChecks.check(states, &errors)
        warnAboutOverlaps(policies, &warnings)
        warnAboutUnusedStates(states, policies, &warnings)
        warnAboutForwarding(policies, &warnings)
        if states.isEmpty, policies.isEmpty, errors.isEmpty {
            warnings.append(
                Problem(
                    .warning, SourceLocation(file: file, line: 1), word: nil, "there is nothing in the file",
                    remedy: "add 'xfrm state add' and 'xfrm policy add' lines"))
        }
    }

    /// A template has to lead to a state, or nothing gets through.
    private static func check(
        _ parsed: ParsedPolicy, _ states: [UInt32: [SAParameters]], _ errors: inout [Problem],
        _ warnings: inout [Problem]
    ) {
        guard case .protect(let template) = parsed.policy.action else { return }
        let candidates =
            template.requestID == 0 ? states.values.flatMap { $0 } : states[template.requestID] ?? []
        let serving = candidates.filter {
            template.accepts(requestID: $0.requestID, source: $0.source, destination: $0.destination)
        }
        if parsed.templateSPI != 0, serving.contains(where: { $0.spi != parsed.templateSPI }) {
            errors.append(
                Problem(
                    .error, parsed.location, word: "spi",
                    "the template's addresses and reqid lead to states with other SPIs, too",
                    remedy: "give each SA a reqid of its own, and name it instead of the SPI"))
        } else if serving.isEmpty {
            warnings.append(
                Problem(
                    .warning, parsed.location, word: "tmpl",
                    "no state in this file serves the policy \(parsed.policy)",
                    remedy: "add one with these addresses and reqid, or all its packets are dropped"))
        }
    }

    /// Warns of overlapping outbound policies of equal priority, whose winner is easily guessed wrong.
    private static func warnAboutOverlaps(_ policies: [ParsedPolicy], _ warnings: inout [Problem]) {
        let outbound = policies.filter { $0.policy.direction == .out }
        // A warning is worth quadratic work for files that people write, not for generated ones.
        let mostCompared = 1000
        guard outbound.count <= mostCompared else { return }
        for (index, later) in outbound.enumerated() {
            guard
                let earlier = outbound[..<index].first(where: {
                    $0.policy.priority == later.policy.priority && $0.policy.action != later.policy.action
                        && $0.policy.selector.overlaps(later.policy.selector)
                })
            else { continue }
            warnings.append(
                Problem(
                    .warning, later.location, word: "priority",
                    "packets of this policy are also those of line \(earlier.location.line), with equal priority",
                    remedy: "give them different priorities; else the longer prefixes win, then the first line"))
        }
    }

    /// `dir in` is for the gateway's own packets: what it is to hand on to others needs `dir fwd`, as in Linux.
    private static func warnAboutForwarding(_ policies: [ParsedPolicy], _ warnings: inout [Problem]) {
        let forwarded = policies.filter { $0.policy.direction == .forward }
        let mostCompared = 1000
        guard policies.count <= mostCompared else { return }
        for parsed in policies where parsed.policy.direction == .in {
            let selector = parsed.policy.selector
            guard case .protect = parsed.policy.action, selector.destination.first != selector.destination.last,
                !forwarded.contains(where: { $0.policy.selector.overlaps(selector) })
            else { continue }
            warnings.append(
                Problem(
                    .warning, parsed.location, word: "in",
                    "without a policy with 'dir fwd' packets from \(selector.source) are dropped unless they are for this gateway itself, not for hosts of \(selector.destination) behind it; so it is in Linux",
                    remedy: "add the same line with 'dir fwd'"))
        }
    }

    private static func warnAboutUnusedStates(
        _ states: [ParsedState], _ policies: [ParsedPolicy], _ warnings: inout [Problem]
    ) {
        guard !policies.isEmpty else { return }
        let templates = policies.compactMap { parsed -> SecurityPolicy.Protection? in
            if case .protect(let template) = parsed.policy.action { template } else { nil }
        }
        let used = TemplateIndex(templates)
        for state in states where !used.accepts(state.parameters) {
            warnings.append(
                Problem(
                    .warning, state.location, word: "reqid", "no policy in this file uses the state",
                    remedy: "add 'xfrm policy add' with a 'tmpl' of these addresses and this reqid"))
        }
    }
}

/// Templates by request id, so that thousands of states are checked quickly.
private struct TemplateIndex {
    private var byRequestID: [UInt32: Set<SecurityPolicy.Protection>] = [:]

    init(_ templates: [SecurityPolicy.Protection]) {
        for template in templates { byRequestID[template.requestID, default: []].insert(template) }
    }

    func accepts(_ state: SAParameters) -> Bool {
        let candidates = (byRequestID[state.requestID] ?? []).union(byRequestID[0] ?? [])
        return candidates.contains {
            $0.accepts(requestID: state.requestID, source: state.source, destination: state.destination)
        }
    }
}

/// Looks for one key in two states. Under counter modes (GCM, GMAC, CTR, ChaCha20) each of the two SAs counts its own
/// initialisation vectors, so that sooner or later both use the same one, and the cipher is broken (RFC 4106 section 2, RFC 3686
/// section 4, RFC 7634 section 2). The two directions of a tunnel are two SAs, too.
enum XfrmKeyChecks {
    static func check(_ states: [ParsedState], _ errors: inout [Problem]) {
        var places: [Int: [Int]] = [:]
        // One that was updated stands where it was, with the line of its update.
        let states = states.sorted { $0.location.line < $1.location.line }
        for (index, state) in states.enumerated() where state.parameters.transform.isCounterMode {
            let digest = digest(state.parameters)
            let earlier = places[digest, default: []].first { isSame(states[$0].parameters, state.parameters) }
            places[digest, default: []].append(index)
            guard let earlier else { continue }
            errors.append(
                Problem(
                    .error, state.location, word: nil,
                    "the key is that of the state in line \(states[earlier].location.line), "
                        + "so that the two SAs repeat each other's initialisation vectors (RFC 4106 section 2)",
                    remedy: "give each state a key of its own, those of the other direction too"))
        }
    }

    /// Bytes of the key material that the cipher makes its key stream from, beside the vector: key and salt. The integrity key
    /// does not help.
    private static func nonceKeyLength(_ transform: ESPTransform) -> Int {
        transform.encryptionKeyLength + transform.saltLength
    }

    /// Equal for equal keys, and without meaning outside of this process.
    private static func digest(_ parameters: SAParameters) -> Int {
        var hasher = Hasher()
        parameters.key.withUnsafeBytes {
            hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0.prefix(nonceKeyLength(parameters.transform))))
        }
        return hasher.finalize()
    }

    private static func isSame(_ one: SAParameters, _ other: SAParameters) -> Bool {
        let length = nonceKeyLength(one.transform)
        return length == nonceKeyLength(other.transform) && one.key[0..<length] == other.key[0..<length]
    }
}
