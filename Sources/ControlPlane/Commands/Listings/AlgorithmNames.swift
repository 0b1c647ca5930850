import Cryptography

/// Algorithms by the names and key sizes that strongSwan's listings have, which are those of IANA's registries.
struct AlgorithmName: Hashable, Sendable {
    var name: String
    var keyBits: Int?

    init(_ name: String, keyBits: Int? = nil) {
        self.name = name
        self.keyBits = keyBits
    }
}

extension IKECipherSuite.Encryption {
    var listed: AlgorithmName {
        switch self {
        case .aesCBC(let bits): AlgorithmName("AES_CBC", keyBits: bits)
        case .aesGCM16(let bits): AlgorithmName("AES_GCM_16", keyBits: bits)
        case .chaCha20Poly1305: AlgorithmName("CHACHA20_POLY1305")
        }
    }
}

extension IKECipherSuite.Integrity {
    var listed: AlgorithmName {
        switch self {
        case .hmacSHA1_96: AlgorithmName("HMAC_SHA1_96")
        case .hmacSHA256_128: AlgorithmName("HMAC_SHA2_256_128")
        case .hmacSHA384_192: AlgorithmName("HMAC_SHA2_384_192")
        case .hmacSHA512_256: AlgorithmName("HMAC_SHA2_512_256")
        }
    }
}

extension ESPTransform.Encryption {
    var listed: AlgorithmName {
        switch self {
        case .aesGCM(let bits, let icvBytes): AlgorithmName("AES_GCM_\(icvBytes)", keyBits: bits)
        case .aesGMAC(let bits): AlgorithmName("NULL_AES_GMAC", keyBits: bits)
        case .chaCha20Poly1305: AlgorithmName("CHACHA20_POLY1305")
        case .aesCBC(let bits): AlgorithmName("AES_CBC", keyBits: bits)
        case .aesCTR(let bits): AlgorithmName("AES_CTR", keyBits: bits)
        case .null: AlgorithmName("NULL")
        }
    }
}

extension ESPTransform.Integrity {
    var listed: AlgorithmName {
        switch self {
        case .hmacSHA1_96: AlgorithmName("HMAC_SHA1_96")
        case .hmacSHA256_128: AlgorithmName("HMAC_SHA2_256_128")
        case .hmacSHA384_192: AlgorithmName("HMAC_SHA2_384_192")
        case .hmacSHA512_256: AlgorithmName("HMAC_SHA2_512_256")
        case .hmacSHA256_96: AlgorithmName("HMAC_SHA2_256_96")
        }
    }
}

extension PRF {
    var listed: AlgorithmName {
        AlgorithmName(self == .hmacSHA1 ? "PRF_HMAC_SHA1" : "PRF_HMAC_SHA2_\(outputLength * 8)")
    }
}

extension KeyExchangeMethod {
    var listed: AlgorithmName {
        switch self {
        case .modp1024: AlgorithmName("MODP_1024")
        case .modp1536: AlgorithmName("MODP_1536")
        case .modp2048: AlgorithmName("MODP_2048")
        case .modp3072: AlgorithmName("MODP_3072")
        case .modp4096: AlgorithmName("MODP_4096")
        case .ecp256: AlgorithmName("ECP_256")
        case .ecp384: AlgorithmName("ECP_384")
        case .ecp521: AlgorithmName("ECP_521")
        case .x25519: AlgorithmName("CURVE_25519")
        case .x448: AlgorithmName("CURVE_448")
        }
    }
}

extension VICIMessage {
    /// "encr-alg" and "encr-keysize", and likewise for the others.
    mutating func append(_ prefix: String, algorithm: AlgorithmName?) {
        guard let algorithm else { return }
        append("\(prefix)-alg", algorithm.name)
        if let bits = algorithm.keyBits { append("\(prefix)-keysize", bits) }
    }
}
