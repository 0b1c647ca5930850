import CLibCrypto

/// The AlgorithmIdentifier objects of RFC 7427 section 3 and appendix A, and of RFC 8420 appendix A.
extension SignatureScheme {
    private static let pkcs1: [UInt8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01]
    private static let hashes: [UInt8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02]
    private static let null: [UInt8] = [0x05, 0x00]

    /// The DER of this scheme; nil for what authentication method 14 does not carry.
    public var algorithmIdentifier: [UInt8]? {
        switch self {
        case .rsaPKCS1(let hash):
            guard let arc = Self.arc(hash, [.sha1: 5, .sha256: 11, .sha384: 12, .sha512: 13]) else { return nil }
            return Self.element(0x30, Self.element(0x06, Self.pkcs1 + [arc]) + Self.null)
        case .rsaPSS(let hash, let saltLength):
            // Object identifiers of the hashes end in 1, 2 and 3; a salt below 128 bytes fits in one byte.
            guard let arc = Self.arc(hash, [.sha256: 1, .sha384: 2, .sha512: 3]), 0..<128 ~= saltLength else {
                return nil
            }
            let digest = Self.element(0x30, Self.element(0x06, Self.hashes + [arc]) + Self.null)
            let mask = Self.element(0x30, Self.element(0x06, Self.pkcs1 + [8]) + digest)
            let salt = Self.element(0x02, [UInt8(saltLength)])
            let parameters = Self.element(0xa0, digest) + Self.element(0xa1, mask) + Self.element(0xa2, salt)
            return Self.element(0x30, Self.element(0x06, Self.pkcs1 + [10]) + Self.element(0x30, parameters))
        case .ecdsa(let hash):
            guard let arc = Self.arc(hash, [.sha256: 2, .sha384: 3, .sha512: 4]) else { return nil }
            return Self.element(0x30, Self.element(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, arc]))
        case .ecdsaConcatenated: return nil
        case .ed25519: return Self.element(0x30, Self.element(0x06, [0x2b, 0x65, 0x70]))
        case .ed448: return Self.element(0x30, Self.element(0x06, [0x2b, 0x65, 0x71]))
        }
    }

    private static func arc(_ hash: SignatureHash, _ arcs: [SignatureHash: UInt8]) -> UInt8? { arcs[hash] }

    /// One DER element; all of ours are shorter than 128 bytes.
    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }

    /// Reads an AlgorithmIdentifier; any encoding that a peer may choose (parameters absent or NULL, defaults written
    /// out). Throws `malformedAlgorithm` or `unsupportedAlgorithm`.
    public init(algorithmIdentifier bytes: [UInt8]) throws(SignatureError) {
        let parsed = bytes.withUnsafeBufferPointer { buffer -> UnsafeMutablePointer<X509_ALGOR>? in
            var cursor = buffer.baseAddress
            let value = d2i_X509_ALGOR(nil, &cursor, buffer.count)
            guard let value, cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                X509_ALGOR_free(value)
                return nil
            }
            return value
        }
        defer { X509_ALGOR_free(parsed) }
        guard let parsed else {
            ERR_clear_error()
            throw .malformedAlgorithm
        }
        switch OBJ_obj2nid(parsed.pointee.algorithm) {
        case NID_sha1WithRSAEncryption: self = .rsaPKCS1(.sha1)
        case NID_sha256WithRSAEncryption: self = .rsaPKCS1(.sha256)
        case NID_sha384WithRSAEncryption: self = .rsaPKCS1(.sha384)
        case NID_sha512WithRSAEncryption: self = .rsaPKCS1(.sha512)
        case NID_ecdsa_with_SHA256: self = .ecdsa(.sha256)
        case NID_ecdsa_with_SHA384: self = .ecdsa(.sha384)
        case NID_ecdsa_with_SHA512: self = .ecdsa(.sha512)
        case NID_ED25519: self = .ed25519
        case NID_ED448: self = .ed448
        case NID_rsassaPss: self = try Self.pss(parsed)
        default: throw .unsupportedAlgorithm(Self.name(parsed.pointee.algorithm))
        }
    }

    /// RFC 4055 section 3.1. Absent parts mean SHA-1, which is not accepted here.
    private static func pss(_ algorithm: UnsafeMutablePointer<X509_ALGOR>) throws(SignatureError) -> SignatureScheme {
        let unpacked = ASN1_TYPE_unpack_sequence(RSA_PSS_PARAMS_it(), algorithm.pointee.parameter)
        guard let unpacked else {
            ERR_clear_error()
            throw .malformedAlgorithm
        }
        let parameters = unpacked.assumingMemoryBound(to: RSA_PSS_PARAMS.self)
        defer { RSA_PSS_PARAMS_free(parameters) }
        let hash = try pssHash(parameters.pointee.hashAlgorithm)
        guard let mask = parameters.pointee.maskGenAlgorithm, OBJ_obj2nid(mask.pointee.algorithm) == NID_mgf1 else {
            throw .unsupportedAlgorithm("RSASSA-PSS without MGF1 of a SHA-2 hash")
        }
        let maskHash = ASN1_TYPE_unpack_sequence(X509_ALGOR_it(), mask.pointee.parameter)?
            .assumingMemoryBound(to: X509_ALGOR.self)
        defer { X509_ALGOR_free(maskHash) }
        guard try pssHash(maskHash) == hash else {
            throw .unsupportedAlgorithm("RSASSA-PSS with two different hashes")
        }
        let salt = parameters.pointee.saltLength.map { ASN1_INTEGER_get($0) } ?? 20
        let trailer = parameters.pointee.trailerField.map { ASN1_INTEGER_get($0) } ?? 1
        guard 0...1024 ~= salt, trailer == 1 else { throw .unsupportedAlgorithm("RSASSA-PSS with odd parameters") }
        return .rsaPSS(hash, saltLength: salt)
    }

    private static func pssHash(_ algorithm: UnsafeMutablePointer<X509_ALGOR>?) throws(SignatureError) -> SignatureHash
    {
        switch OBJ_obj2nid(algorithm?.pointee.algorithm) {
        case NID_sha256: return .sha256
        case NID_sha384: return .sha384
        case NID_sha512: return .sha512
        default: throw .unsupportedAlgorithm("RSASSA-PSS with a hash other than SHA-256, SHA-384 or SHA-512")
        }
    }

    /// libcrypto's name for the object, or its dotted form.
    private static func name(_ object: OpaquePointer?) -> String {
        var text = [CChar](repeating: 0, count: 80)
        OBJ_obj2txt(&text, Int32(text.count), object, 0)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

// MARK: - Authentication Data of method 14

extension SignatureScheme {
    /// Length byte, AlgorithmIdentifier and signature (RFC 7427 section 3); nil where `algorithmIdentifier` is.
    public func authenticationData(signature: [UInt8]) -> [UInt8]? {
        algorithmIdentifier.map { [UInt8($0.count)] + $0 + signature }
    }

    /// Cuts the Authentication Data of method 14 into scheme and signature (RFC 7427 section 3).
    public static func parse(
        authenticationData data: [UInt8]
    ) throws(SignatureError) -> (scheme: SignatureScheme, signature: [UInt8]) {
        guard let length = data.first.map(Int.init), data.count > 1 + length else { throw .malformedAlgorithm }
        return (try SignatureScheme(algorithmIdentifier: Array(data[1...length])), Array(data[(1 + length)...]))
    }
}
