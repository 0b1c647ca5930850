import CLibCrypto
import Cryptography
import Testing

/// What a test certificate is like; the defaults make a good one.
struct TestCertificate {
    var subject: String
    var key = TestKey.p256
    /// Seconds since 1970.
    var validity: ClosedRange<Int64> = TestAuthority.now - 1000...TestAuthority.now + 1000
    var isAuthority = false
    var keyUsage: String?
    var subjectAlternativeNames: String?
    /// cRLDistributionPoints, as openssl.cnf has it; a name alone is that of a section of `sections`.
    var revocationSource: String?
    var digest = "SHA256"
    /// Other extensions, by libcrypto's number, as openssl.cnf has them.
    var extensions: [Int32: String] = [:]
    /// Sections of an openssl.cnf that the extensions name.
    var sections = ""
    /// The same each time; nil: random.
    var serial: UInt64?
}

/// An authority that issues certificates and CRLs through libcrypto.
struct TestAuthority: Sendable {
    /// When the tests take place, seconds since 1970.
    static let now: Int64 = 1_800_000_000

    let certificate: Certificate
    let key: TestKey

    /// A root.
    init(
        _ subject: String, key: TestKey = .p256, keyUsage: String? = "critical,keyCertSign,cRLSign",
        extensions: [Int32: String] = [:]
    ) throws {
        var content = TestCertificate(subject: subject, key: key)
        content.extensions = extensions
        content.validity = Self.now - 100_000...Self.now + 100_000
        content.isAuthority = true
        content.keyUsage = keyUsage
        certificate = try Self.make(content, issuer: nil, signer: key)
        self.key = key
    }

    /// An intermediate authority below this one.
    func authority(_ content: TestCertificate) throws -> TestAuthority {
        TestAuthority(certificate: try issue(content), key: content.key)
    }

    init(certificate: Certificate, key: TestKey) {
        self.certificate = certificate
        self.key = key
    }

    func issue(_ content: TestCertificate) throws -> Certificate {
        try Self.make(content, issuer: certificate, signer: key)
    }

    /// A CRL with `revoked`, revoked at `now - 500` for key compromise.
    func revocationList(
        _ revoked: [Certificate], validity: ClosedRange<Int64> = now - 100...now + 100, signer: TestKey? = nil
    ) throws -> RevocationList {
        var content = TestRevocationList()
        content.entries = revoked.map { TestRevocationList.Entry(certificate: $0) }
        (content.thisUpdate, content.nextUpdate) = (validity.lowerBound, validity.upperBound)
        content.signer = signer
        return try revocationList(content)
    }

    private static func make(
        _ content: TestCertificate, issuer: Certificate?, signer: TestKey
    ) throws -> Certificate {
        let certificate = X509_new()
        defer { X509_free(certificate) }
        X509_set_version(certificate, 2)
        let serial = content.serial ?? UInt64.random(in: 1...UInt64(Int64.max))
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial)
        let times = [content.validity.lowerBound, content.validity.upperBound].map { ASN1_TIME_set(nil, time_t($0)) }
        defer { for time in times { ASN1_STRING_free(time) } }
        X509_set1_notBefore(certificate, times[0])
        X509_set1_notAfter(certificate, times[1])
        let subject = try #require(DistinguishedName(content.subject))
        try #require(X509_set_subject_name(certificate, name(subject)) == 1)
        try #require(X509_set_issuer_name(certificate, name(issuer?.subject ?? subject)) == 1)
        try #require(X509_set_pubkey(certificate, content.key.handle) == 1)
        let extensions: [(Int32, String?)] = [
            (NID_basic_constraints, content.isAuthority ? "critical,CA:TRUE" : "CA:FALSE"),
            (NID_key_usage, content.keyUsage),
            (NID_subject_alt_name, content.subjectAlternativeNames),
            (NID_crl_distribution_points, content.revocationSource),
        ]
        let parent = try issuer.map(parsed)
        defer { X509_free(parent) }
        for case (let kind, let value?) in extensions + content.extensions.map({ ($0.key, $0.value) }) {
            let made = try TestExtension.make(
                kind, value, sections: content.sections, issuer: parent ?? certificate, subject: certificate)
            X509_add_ext(certificate, made, -1)
            X509_EXTENSION_free(made)
        }
        let digest = signer.isEdwards ? nil : EVP_get_digestbyname(content.digest)
        try #require(X509_sign(certificate, signer.handle, digest) > 0)
        return try Certificate(der: written { i2d_X509_bio($0, certificate) })
    }

    /// Leaks a little; tests do not mind.
    static func name(_ name: DistinguishedName) -> OpaquePointer? {
        name.der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_X509_NAME(nil, &cursor, buffer.count)
        }
    }

    static func parsed(_ certificate: Certificate) throws -> OpaquePointer {
        try #require(
            certificate.der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
                var cursor = buffer.baseAddress
                return d2i_X509(nil, &cursor, buffer.count)
            })
    }
}

/// PEM of a DER certificate.
func pem(_ certificate: Certificate) -> [UInt8] {
    let handle = certificate.der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
        var cursor = buffer.baseAddress
        return d2i_X509(nil, &cursor, buffer.count)
    }
    defer { X509_free(handle) }
    return written { PEM_write_bio_X509($0, handle) }
}
