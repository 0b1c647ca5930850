import Cryptography
import IKEv2Messages

// The numbers of ESP's algorithms in IANA's registries of transform types 1 and 3.

extension Transform {
    static func esp(_ encryption: ESPEncryption) -> Transform {
        switch encryption {
        case .aesGCM(let bits, let icv):
            let algorithm: EncryptionAlgorithm = icv == 8 ? .aesGCM8 : icv == 12 ? .aesGCM12 : .aesGCM16
            return .encryption(algorithm, keyLength: UInt16(clamping: bits))
        case .aesGMAC(let bits): return .encryption(.nullAESGMAC, keyLength: UInt16(clamping: bits))
        case .chaCha20Poly1305: return .encryption(.chaCha20Poly1305)
        case .aesCBC(let bits): return .encryption(.aesCBC, keyLength: UInt16(clamping: bits))
        case .aesCTR(let bits): return .encryption(.aesCTR, keyLength: UInt16(clamping: bits))
        case .null: return .encryption(.null)
        }
    }
}

extension ESPEncryption {
    /// Nil for what is unknown, in algorithm or key length.
    init?(_ transform: Transform) {
        let bits = transform.keyLength.map(Int.init)
        switch (EncryptionAlgorithm(rawValue: transform.id), bits) {
        case (.chaCha20Poly1305, nil): self = .chaCha20Poly1305
        case (.null, nil): self = .null
        case (let algorithm, .some(let bits)) where [128, 192, 256].contains(bits):
            switch algorithm {
            case .aesGCM8: self = .aesGCM(keyBits: bits, icvBytes: 8)
            case .aesGCM12: self = .aesGCM(keyBits: bits, icvBytes: 12)
            case .aesGCM16: self = .aesGCM(keyBits: bits, icvBytes: 16)
            case .nullAESGMAC: self = .aesGMAC(keyBits: bits)
            case .aesCBC: self = .aesCBC(keyBits: bits)
            case .aesCTR: self = .aesCTR(keyBits: bits)
            default: return nil
            }
        default: return nil
        }
    }
}

extension ESPIntegrity {
    var transformID: UInt16 {
        switch self {
        case .hmacSHA1_96: IntegrityAlgorithm.hmacSHA1_96.rawValue
        // Who cuts it shorter negotiates the same number (`sha256_96`): the first of both in the registry is meant.
        case .hmacSHA256_128, .hmacSHA256_96: IntegrityAlgorithm.hmacSHA256_128.rawValue
        case .hmacSHA384_192: IntegrityAlgorithm.hmacSHA384_192.rawValue
        case .hmacSHA512_256: IntegrityAlgorithm.hmacSHA512_256.rawValue
        }
    }

    init?(transformID: UInt16) {
        guard let found = Self.allCases.first(where: { $0.transformID == transformID }) else { return nil }
        self = found
    }
}
