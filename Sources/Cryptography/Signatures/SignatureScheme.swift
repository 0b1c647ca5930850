/// A hash that goes with a signature; raw values are IANA's "IKEv2 Hash Algorithms" (RFC 7427 section 7).
public enum SignatureHash: UInt16, Hashable, Sendable, CaseIterable {
    /// SHA-1, only for authentication method 1 with peers that lack RFC 7427; never offered.
    case sha1 = 1
    case sha256 = 2
    case sha384 = 3
    case sha512 = 4
    /// The signature algorithm hashes by itself (RFC 8420): Ed25519 and Ed448.
    case identity = 5

    /// The hashes for SIGNATURE_HASH_ALGORITHMS.
    public static let offered: [SignatureHash] = [.sha256, .sha384, .sha512, .identity]

    /// Length of the output in bytes; 0 for `identity`.
    public var length: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        case .identity: 0
        }
    }

    /// libcrypto's name; nil for `identity`.
    var digest: String? {
        switch self {
        case .sha1: "SHA1"
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        case .identity: nil
        }
    }
}

/// The way in which a signature is made and written.
public enum SignatureScheme: Hashable, Sendable {
    /// RSASSA-PKCS1-v1_5: authentication methods 1 and 14.
    case rsaPKCS1(SignatureHash)
    /// RSASSA-PSS; MGF1 uses the same hash. The salt's length in bytes is that of the hash in what we sign.
    case rsaPSS(SignatureHash, saltLength: Int)
    /// ECDSA as DER, of RFC 7427: authentication method 14.
    case ecdsa(SignatureHash)
    /// ECDSA as r | s, of RFC 4754: authentication methods 9, 10 and 11, one hash for each curve.
    case ecdsaConcatenated(SignatureHash)
    /// RFC 8420: authentication method 14.
    case ed25519
    /// RFC 8420, with an empty context: authentication method 14.
    case ed448

    /// RSASSA-PSS with a salt as long as the hash.
    public static func rsaPSS(_ hash: SignatureHash) -> SignatureScheme { .rsaPSS(hash, saltLength: hash.length) }

    public var hash: SignatureHash {
        switch self {
        case .rsaPKCS1(let hash), .rsaPSS(let hash, _), .ecdsa(let hash), .ecdsaConcatenated(let hash): hash
        case .ed25519, .ed448: .identity
        }
    }

    /// The ECDSA scheme of an old authentication method (9, 10 or 11), RFC 4754 section 3.
    public init?(ecdsaAuthenticationMethod method: UInt8) {
        switch method {
        case 9: self = .ecdsaConcatenated(.sha256)
        case 10: self = .ecdsaConcatenated(.sha384)
        case 11: self = .ecdsaConcatenated(.sha512)
        default: return nil
        }
    }
}

extension SignatureScheme {
    /// The same algorithm and hash, however the signature is written.
    public func isSameKind(as other: SignatureScheme) -> Bool {
        switch (self, other) {
        case (.ecdsa(let one), .ecdsaConcatenated(let two)), (.ecdsaConcatenated(let one), .ecdsa(let two)): one == two
        case (.rsaPSS(let one, _), .rsaPSS(let two, _)): one == two
        default: self == other
        }
    }
}

extension SignatureScheme: CustomStringConvertible {
    public var description: String {
        switch self {
        case .rsaPKCS1(let hash): "RSA PKCS#1 v1.5 with \(hash)"
        case .rsaPSS(let hash, _): "RSA-PSS with \(hash)"
        case .ecdsa(let hash), .ecdsaConcatenated(let hash): "ECDSA with \(hash)"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        }
    }
}

/// The kind of a key, as far as signatures care.
public enum SignatureKeyType: Hashable, Sendable, CustomStringConvertible {
    case rsa(bits: Int)
    /// ECDSA on P-256, P-384 or P-521.
    case ecdsa(bits: Int)
    case ed25519
    case ed448

    public var description: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .ecdsa(let bits): "ECDSA P-\(bits)"
        case .ed25519: "Ed25519"
        case .ed448: "Ed448"
        }
    }

    /// Whether such a key can make and verify such signatures. The methods of RFC 4754 tie the hash to the curve.
    public func fits(_ scheme: SignatureScheme) -> Bool {
        switch (self, scheme) {
        case (.rsa, .rsaPKCS1), (.rsa, .rsaPSS), (.ecdsa, .ecdsa), (.ed25519, .ed25519), (.ed448, .ed448): true
        case (.ecdsa(let bits), .ecdsaConcatenated(let hash)): hash == naturalHash(bits)
        default: false
        }
    }

    /// The scheme of RFC 7427 to sign with when the peer accepts `hashes` (its SIGNATURE_HASH_ALGORITHMS): the one as
    /// strong as the key, else the next stronger, else the next weaker. nil when there is none.
    public func scheme(for hashes: [SignatureHash], preferringPSS: Bool) -> SignatureScheme? {
        let natural: SignatureHash
        switch self {
        case .ed25519: return hashes.contains(.identity) ? .ed25519 : nil
        case .ed448: return hashes.contains(.identity) ? .ed448 : nil
        case .rsa(let bits): natural = bits <= 3072 ? .sha256 : bits <= 7680 ? .sha384 : .sha512
        case .ecdsa(let bits): natural = naturalHash(bits)
        }
        let sizes: [SignatureHash] = [.sha256, .sha384, .sha512]
        let order =
            sizes.filter { $0.length >= natural.length } + sizes.reversed().filter { $0.length < natural.length }
        guard let hash = order.first(where: hashes.contains) else { return nil }
        if case .ecdsa = self { return .ecdsa(hash) }
        return preferringPSS ? .rsaPSS(hash) : .rsaPKCS1(hash)
    }

    private func naturalHash(_ bits: Int) -> SignatureHash { bits <= 256 ? .sha256 : bits <= 384 ? .sha384 : .sha512 }
}
