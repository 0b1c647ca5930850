import CLibCrypto

/// A certificate revocation list (RFC 5280 section 5).
public final class RevocationList: Sendable {
    /// The whole list.
    public let der: [UInt8]
    public let issuer: DistinguishedName
    /// When it was issued, seconds since 1970, UTC.
    public let thisUpdate: Int64
    /// When the next one is due, seconds since 1970, UTC; nil when it does not say.
    public let nextUpdate: Int64?
    /// Never changed after `init`; libcrypto locks what it caches inside.
    nonisolated(unsafe) let handle: OpaquePointer

    /// Reads a file's content: the DER of one list, or PEM with any number. Throws `unreadable`, also for none.
    public static func read(_ content: [UInt8]) throws(CertificateError) -> [RevocationList] {
        let one = content.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var cursor = buffer.baseAddress
            return d2i_X509_CRL(nil, &cursor, buffer.count)
        }
        ERR_clear_error()
        var found: [OpaquePointer] = []
        if let one {
            found = [one]
        } else {
            found = try readPEM(content, what: "CRL") { PEM_read_bio_X509_CRL($0, nil, nil, nil) }
        }
        var lists: [RevocationList] = []
        for handle in found { lists.append(try RevocationList(owning: handle)) }
        return lists
    }

    /// Takes over the reference.
    private init(owning handle: OpaquePointer) throws(CertificateError) {
        guard let issued = CertificateTime.seconds(X509_CRL_get0_lastUpdate(handle)) else {
            X509_CRL_free(handle)
            throw .unreadable(what: "CRL", reason: "it has no time of issue")
        }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_CRL(handle, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        guard count > 0 else {
            X509_CRL_free(handle)
            throw .unreadable(what: "CRL", reason: "it cannot be encoded again" + libraryReason())
        }
        der = Array(UnsafeBufferPointer(start: encoded, count: Int(count)))
        self.handle = handle
        issuer = DistinguishedName(X509_CRL_get_issuer(handle))
        thisUpdate = issued
        nextUpdate = CertificateTime.seconds(X509_CRL_get0_nextUpdate(handle))
    }

    /// When and why a certificate was revoked; nil when this list does not say that it was.
    func revocation(of certificate: OpaquePointer) -> (date: Int64?, reason: String?)? {
        var entry: OpaquePointer?
        guard X509_CRL_get0_by_cert(handle, &entry, certificate) == 1, let entry else { return nil }
        let value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, nil, nil)
        let code = value.map { ASN1_ENUMERATED_get($0.assumingMemoryBound(to: ASN1_ENUMERATED.self)) }
        if let value { ASN1_ENUMERATED_free(value.assumingMemoryBound(to: ASN1_ENUMERATED.self)) }
        return (CertificateTime.seconds(X509_REVOKED_get0_revocationDate(entry)), code.flatMap(Self.reason))
    }

    /// RFC 5280 section 5.3.1.
    private static func reason(_ code: Int) -> String? {
        switch code {
        case 1: "key compromise"
        case 2: "CA compromise"
        case 3: "affiliation changed"
        case 4: "superseded"
        case 5: "cessation of operation"
        case 6: "certificate hold"
        case 9: "privilege withdrawn"
        case 10: "AA compromise"
        default: nil
        }
    }

    deinit { X509_CRL_free(handle) }
}

/// What to do about certificates whose revocation status is unknown (swanctl.conf `revocation`).
public enum RevocationPolicy: String, Hashable, Sendable, CaseIterable {
    /// Refuse them.
    case strict
    /// Refuse those that say where their CRL or OCSP responder is.
    case ifURI = "ifuri"
    /// Accept them; only a certificate known to be revoked is refused.
    case relaxed
}
