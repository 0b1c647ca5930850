/// The demands on keys and signatures of a peer's trust chain: `auth` of a `remote` section, swanctl.conf(5).
public struct ChainConstraints: Hashable, Sendable {
    /// Kinds of keys, each with the least number of bits; none: any key.
    public var keys: [SignatureKeyType]
    /// The schemes by which certificates may be signed; none: any.
    public var schemes: [SignatureScheme]
    /// The text that was configured, for explanations.
    public var text: String

    public init(keys: [SignatureKeyType], schemes: [SignatureScheme], text: String) {
        self.keys = keys
        self.schemes = schemes
        self.text = text
    }

    /// The first of a chain's keys and signatures that is not as demanded; nil: there is none. `chain`: the peer's
    /// certificate first, the trusted authority last, whose own signature nobody relies on.
    public func violation(in chain: [Certificate]) -> ChainViolation? {
        for (index, certificate) in chain.enumerated() {
            if !keys.isEmpty {
                // A key that cannot be read here is of a kind that was not named.
                guard let key = try? certificate.publicKey().type else {
                    return ChainViolation(subject: certificate.description, fault: .unknownKey)
                }
                guard accepts(key) else {
                    return ChainViolation(subject: certificate.description, fault: .key(key))
                }
            }
            guard !schemes.isEmpty, index < chain.count - 1 else { continue }
            do throws(SignatureError) {
                let scheme = try certificate.signatureScheme()
                guard !schemes.contains(where: scheme.isSameKind(as:)) else { continue }
                return ChainViolation(subject: certificate.description, fault: .signature(scheme.description))
            } catch {
                return ChainViolation(subject: certificate.description, fault: .signature(error.algorithm))
            }
        }
        return nil
    }

    /// Whether a key is of one of the kinds, and large enough.
    public func accepts(_ key: SignatureKeyType) -> Bool {
        keys.isEmpty || keys.contains(where: key.isAtLeast(_:))
    }

    /// "RSA from 3072 bits, ECDSA from 384 bits"; empty when any key will do.
    public var keyDescription: String { keys.map(\.boundDescription).joined(separator: ", ") }

    /// "ECDSA with sha384"; empty when any signature will do.
    public var schemeDescription: String { schemes.map(\.description).joined(separator: ", ") }
}

/// The part of a trust chain that is not as demanded.
public struct ChainViolation: Hashable, Sendable, CustomStringConvertible {
    public enum Fault: Hashable, Sendable {
        /// Too small, or of another kind.
        case key(SignatureKeyType)
        /// No key that is known here.
        case unknownKey
        /// The scheme by which the certificate is signed.
        case signature(String)
    }

    /// The subject of the certificate.
    public let subject: String
    public let fault: Fault

    public init(subject: String, fault: Fault) {
        self.subject = subject
        self.fault = fault
    }

    public var description: String {
        switch fault {
        case .key(let type): "the key of \"\(subject)\" is \(type.sizeDescription)"
        case .unknownKey: "the key of \"\(subject)\" is of an unknown kind"
        case .signature(let scheme): "the certificate of \"\(subject)\" is signed by \(scheme)"
        }
    }
}

extension SignatureKeyType {
    /// The same kind with as many bits, or more.
    func isAtLeast(_ bound: SignatureKeyType) -> Bool {
        switch (self, bound) {
        case (.rsa(let bits), .rsa(let least)), (.ecdsa(let bits), .ecdsa(let least)): bits >= least
        case (.ed25519, .ed25519), (.ed448, .ed448): true
        default: false
        }
    }

    /// "ECDSA with 256 bits".
    public var sizeDescription: String {
        switch self {
        case .rsa(let bits): "RSA with \(bits) bits"
        case .ecdsa(let bits): "ECDSA with \(bits) bits"
        case .ed25519, .ed448: description
        }
    }

    /// Read as a least one: "ECDSA from 384 bits".
    public var boundDescription: String {
        switch self {
        case .rsa(let bits): bits > 0 ? "RSA from \(bits) bits" : "RSA"
        case .ecdsa(let bits): bits > 0 ? "ECDSA from \(bits) bits" : "ECDSA"
        case .ed25519, .ed448: description
        }
    }
}

extension SignatureError {
    fileprivate var algorithm: String {
        if case .unsupportedAlgorithm(let name) = self { name } else { "an unknown algorithm" }
    }
}
