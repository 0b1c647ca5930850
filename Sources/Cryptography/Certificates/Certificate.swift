import CLibCrypto

/// An X.509 certificate.
public final class Certificate: Sendable {
    /// The whole certificate, as a CERT payload carries it (RFC 7296 section 3.6, encoding 4).
    public let der: [UInt8]
    public let subject: DistinguishedName
    public let issuer: DistinguishedName
    /// The serial number in hexadecimal digits.
    public let serialNumber: String
    /// First and last second of its validity, since 1970, UTC.
    public let validity: ClosedRange<Int64>
    public let subjectAlternativeNames: [SubjectAlternativeName]
    /// SHA-1 of the SubjectPublicKeyInfo, 20 bytes: how CERTREQ names an authority (RFC 7296 section 3.7).
    public let publicKeyHash: [UInt8]
    /// basicConstraints says that it may issue certificates.
    public let isAuthority: Bool
    /// Subject and issuer are the same name.
    public let isSelfIssued: Bool
    /// The certificate says where its CRL or its OCSP responder is, which is what the revocation policy `ifURI` goes
    /// by.
    public let namesRevocationSource: Bool

    /// Never changed after `init`; libcrypto locks what it caches inside.
    nonisolated(unsafe) let handle: OpaquePointer

    /// Reads the DER of one certificate. Throws `unreadable`.
    public convenience init(der: [UInt8]) throws(CertificateError) {
        let parsed = der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var cursor = buffer.baseAddress
            guard let value = d2i_X509(nil, &cursor, buffer.count) else { return nil }
            guard cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                X509_free(value)
                return nil
            }
            return value
        }
        guard let parsed else { throw .unreadable(what: "certificate", reason: "not the DER of one" + libraryReason()) }
        try self.init(owning: parsed)
    }

    /// Reads a file's content: the DER of one certificate, or PEM with any number of them and whatever else between.
    /// Throws `unreadable`, also when there is none.
    public static func read(_ content: [UInt8]) throws(CertificateError) -> [Certificate] {
        if content.first == 0x30, let one = try? Certificate(der: content) { return [one] }
        let found = try readPEM(content, what: "certificate") { PEM_read_bio_X509($0, nil, nil, nil) }
        var certificates: [Certificate] = []
        for handle in found { certificates.append(try Certificate(owning: handle)) }
        return certificates
    }

    /// Takes over the reference.
    init(owning handle: OpaquePointer) throws(CertificateError) {
        self.handle = handle
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(handle, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        var keyInfo: UnsafeMutablePointer<UInt8>?
        let keyCount = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(handle), &keyInfo)
        defer { CRYPTO_free(keyInfo, #file, #line) }
        let (first, last) = (
            CertificateTime.seconds(X509_get0_notBefore(handle)), CertificateTime.seconds(X509_get0_notAfter(handle))
        )
        guard count > 0, keyCount > 0, let first, let last, first <= last else {
            X509_free(handle)
            throw .unreadable(what: "certificate", reason: "its validity or key makes no sense" + libraryReason())
        }
        der = Array(UnsafeBufferPointer(start: encoded, count: Int(count)))
        publicKeyHash = sha1(Array(UnsafeBufferPointer(start: keyInfo, count: Int(keyCount))))
        subject = DistinguishedName(X509_get_subject_name(handle))
        issuer = DistinguishedName(X509_get_issuer_name(handle))
        serialNumber = text { i2a_ASN1_INTEGER($0, X509_get0_serialNumber(handle)) }
        validity = first...last
        subjectAlternativeNames = SubjectAlternativeName.all(of: handle)
        isAuthority = X509_check_ca(handle) == 1
        isSelfIssued = X509_get_extension_flags(handle) & UInt32(EXFLAG_SI) != 0
        namesRevocationSource =
            X509_get_ext_by_NID(handle, NID_crl_distribution_points, -1) >= 0 || Self.namesResponder(handle)
        ERR_clear_error()
    }

    /// The key that it certifies. Throws when signatures cannot be checked with such a key here.
    public func publicKey() throws(SignatureError) -> PublicKey {
        guard let key = X509_get_pubkey(handle) else {
            throw .unreadableKey(reason: "the certificate's" + libraryReason())
        }
        return try PublicKey(LibraryKey(owning: key))
    }

    /// The scheme by which its issuer signed it. Throws `unsupportedAlgorithm` or `malformedAlgorithm`.
    public func signatureScheme() throws(SignatureError) -> SignatureScheme {
        var algorithm: UnsafePointer<X509_ALGOR>?
        X509_get0_signature(nil, &algorithm, handle)
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_ALGOR(algorithm, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        guard count > 0, let encoded else { throw .malformedAlgorithm }
        return try SignatureScheme(
            algorithmIdentifier: Array(UnsafeBufferPointer(start: encoded, count: Int(count))))
    }

    /// Whether the certificate is for `identity`: its subject, or one of its subjectAltNames.
    public func certifies(_ identity: SubjectAlternativeName) -> Bool {
        if case .directoryName(let name) = identity, subject.matches(name) { return true }
        return subjectAlternativeNames.contains { $0.matches(identity) }
    }

    deinit { X509_free(handle) }
}

extension Certificate: Hashable, CustomStringConvertible {
    public static func == (left: Certificate, right: Certificate) -> Bool { left.der == right.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
    public var description: String { subject.description }
}

/// Every object that `next` finds in PEM text. Throws `unreadable` for a damaged one.
func readPEM(
    _ content: [UInt8], what: String, _ next: (OpaquePointer?) -> OpaquePointer?
) throws(CertificateError) -> [OpaquePointer] {
    ERR_clear_error()
    let found = content.withUnsafeBufferPointer { buffer in
        let source = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count))
        defer { BIO_free(source) }
        var found: [OpaquePointer] = []
        while let object = next(source) { found.append(object) }
        return found
    }
    // The end of the text shows as the lack of a further BEGIN line.
    let complete = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
    let reason = libraryReason()
    guard complete else { throw .unreadable(what: what, reason: "number \(found.count + 1) in it is damaged" + reason) }
    guard !found.isEmpty else { throw .unreadable(what: what, reason: "no \(what) in it") }
    return found
}
