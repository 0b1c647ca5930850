import Cryptography
import IPsec

/// Looks for one key in two states. Under counter modes (GCM, GMAC, CTR, ChaCha20) each of the two SAs counts its own
/// initialisation vectors, so that sooner or later both use the same one, and the cipher is broken (RFC 4106 section 2, RFC 3686
/// section 4, RFC 7634 section 2). The two directions of a tunnel are two SAs, too.
enum XfrmKeyChecks {
    static func check(_ states: [ParsedState], _ errors: inout [ConfigurationProblem]) {
        var places: [Int: [Int]] = [:]
        // One that was updated stands where it was, with the line of its update.
        let states = states.sorted { $0.location.line < $1.location.line }
        for (index, state) in states.enumerated() where state.parameters.transform.isCounterMode {
            let digest = digest(state.parameters)
            let earlier = places[digest, default: []].first { isSame(states[$0].parameters, state.parameters) }
            places[digest, default: []].append(index)
            guard let earlier else { continue }
            errors.append(
                ConfigurationProblem(
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
