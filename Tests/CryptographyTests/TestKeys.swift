import CLibCrypto
import Cryptography
import Testing

/// Key pairs made with libcrypto, once for all tests: RSA takes long.
struct TestKey: @unchecked Sendable {
    let handle: OpaquePointer
    let name: String
    /// Ed25519 and Ed448: it hashes by itself.
    var isEdwards: Bool { name.hasPrefix("Ed") }

    static let rsa = TestKey("RSA 2048", algorithm: "RSA", bits: 2048)
    static let rsa3072 = TestKey("RSA 3072", algorithm: "RSA", bits: 3072)
    static let p256 = TestKey("ECDSA P-256", algorithm: "EC", group: "P-256")
    static let p384 = TestKey("ECDSA P-384", algorithm: "EC", group: "P-384")
    static let p521 = TestKey("ECDSA P-521", algorithm: "EC", group: "P-521")
    static let ed25519 = TestKey("Ed25519", algorithm: "ED25519")
    static let ed448 = TestKey("Ed448", algorithm: "ED448")
    static let all = [rsa, rsa3072, p256, p384, p521, ed25519, ed448]

    init(_ name: String, algorithm: String, group: String? = nil, bits: Int32 = 0) {
        self.name = name
        let context = EVP_PKEY_CTX_new_from_name(nil, algorithm, nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        if let group { EVP_PKEY_CTX_set_group_name(context, group) }
        if bits > 0 { EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits) }
        var key: OpaquePointer?
        guard EVP_PKEY_generate(context, &key) == 1, let key else { fatalError("no \(name) key") }
        handle = key
    }

    /// An unencrypted PEM ("PRIVATE KEY").
    var pem: [UInt8] { written { PEM_write_bio_PKCS8PrivateKey($0, handle, nil, nil, 0, nil, nil) } }

    func privateKey() throws -> PrivateKey { try PrivateKey(SecretBytes(copying: pem)) }
}

extension TestKey: CustomTestStringConvertible {
    var testDescription: String { name }
}

/// What `write` puts into a memory BIO.
func written(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
    let output = BIO_new(BIO_s_mem())
    defer { BIO_free(output) }
    guard write(output) == 1 else { fatalError("libcrypto did not write") }
    var bytes = [UInt8](repeating: 0, count: Int(BIO_ctrl_pending(output)))
    BIO_read(output, &bytes, Int32(bytes.count))
    return bytes
}
