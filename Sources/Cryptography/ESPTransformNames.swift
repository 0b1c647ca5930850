/// Names in strongSwan's proposal notation: "aes128gcm16", "aes256-sha512", "chacha20poly1305".
extension ESPTransform: LosslessStringConvertible {
    /// Every suite there is, strongest kind first.
    public static let all: [ESPTransform] = {
        let keyBits = [128, 192, 256]
        var all: [ESPTransform] = []
        for icvBytes in [16, 12, 8] {
            all += keyBits.map { ESPTransform(unchecked: .aesGCM(keyBits: $0, icvBytes: icvBytes)) }
        }
        all.append(.chaCha20Poly1305)
        all += keyBits.map { ESPTransform(unchecked: .aesGMAC(keyBits: $0)) }
        for integrity in [Integrity.hmacSHA256_128, .hmacSHA384_192, .hmacSHA512_256, .hmacSHA1_96, .hmacSHA256_96] {
            all += keyBits.map { ESPTransform(unchecked: .aesCBC(keyBits: $0), integrity) }
            all += keyBits.map { ESPTransform(unchecked: .aesCTR(keyBits: $0), integrity) }
            all.append(ESPTransform(unchecked: .null, integrity))
        }
        return all
    }()

    /// RFC 8221's first choice.
    public static let aes128GCM16 = ESPTransform(unchecked: .aesGCM(keyBits: 128, icvBytes: 16))
    public static let aes256GCM16 = ESPTransform(unchecked: .aesGCM(keyBits: 256, icvBytes: 16))
    public static let chaCha20Poly1305 = ESPTransform(unchecked: .chaCha20Poly1305)
    public static let aes128CBCSHA256 = ESPTransform(unchecked: .aesCBC(keyBits: 128), .hmacSHA256_128)

    public var name: String {
        guard let integrity else { return encryption.description }
        return "\(encryption)-\(integrity)"
    }

    public var description: String { name }

    /// Reads a name as `name` writes it; also strongSwan's "aes" for "aes128" and ICV lengths in bits ("aes128gcm128").
    public init?(_ description: String) {
        guard let transform = try? ESPTransform(parsing: description) else { return nil }
        self = transform
    }

    /// Reads a name like `init(_:)`; throws `unknownTransform`.
    public init(parsing text: String) throws(CryptographyError) {
        guard let transform = Self.byName[Self.canonical(text)] else { throw .unknownTransform(text) }
        self = transform
    }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    private static func canonical(_ text: String) -> String {
        var text = text.lowercased()
        if text.hasPrefix("aes-") || text.hasPrefix("aesg") || text.hasPrefix("aesctr") {
            text = "aes128" + text.dropFirst(3)
        }
        for (bits, bytes) in [("gcm64", "gcm8"), ("gcm96", "gcm12"), ("gcm128", "gcm16")] where text.hasSuffix(bits) {
            return text.dropLast(bits.count) + bytes
        }
        return text
    }
}

extension ESPTransform.Encryption: CustomStringConvertible {
    public var description: String {
        switch self {
        case .aesGCM(let keyBits, let icvBytes): "aes\(keyBits)gcm\(icvBytes)"
        case .aesGMAC(let keyBits): "aes\(keyBits)gmac"
        case .chaCha20Poly1305: "chacha20poly1305"
        case .aesCBC(let keyBits): "aes\(keyBits)"
        case .aesCTR(let keyBits): "aes\(keyBits)ctr"
        case .null: "null"
        }
    }
}

extension ESPTransform.Integrity: CustomStringConvertible {
    public var description: String {
        switch self {
        case .hmacSHA1_96: "sha1"
        case .hmacSHA256_128: "sha256"
        case .hmacSHA384_192: "sha384"
        case .hmacSHA512_256: "sha512"
        case .hmacSHA256_96: "sha256_96"
        }
    }
}
