import CLibCrypto
import Cryptography
import Testing

/// What a test CRL is like; the defaults make a current, empty and complete one without extensions.
struct TestRevocationList {
    struct Entry {
        var certificate: Certificate
        /// RFC 5280 section 5.3.1; 1: key compromise, 6: on hold, 8: removed from the list.
        var reason = 1
        /// certificateIssuer; nil: the issuer of the list, or of the entry before.
        var issuer: DistinguishedName?
        /// A critical extension that nobody knows.
        var isUnknown = false
    }

    var entries: [Entry] = []
    /// Seconds since 1970.
    var thisUpdate = TestAuthority.now - 100
    var nextUpdate: Int64? = TestAuthority.now + 100
    var number: Int?
    /// Of the complete list that this one changes.
    var base: Int?
    /// issuingDistributionPoint, as openssl.cnf has it; "@NAME" is a section of `sections`.
    var scope: String?
    var sections = ""
    /// freshestCRL: it is followed by delta lists. Without it libcrypto looks for none.
    var hasDeltas = false
    /// nil: the issuer's.
    var signer: TestKey?
    var namesKey = false
    /// A critical extension that nobody knows.
    var isUnknown = false
}

extension TestAuthority {
    func revocationList(_ content: TestRevocationList) throws -> RevocationList {
        let list = X509_CRL_new()
        defer { X509_CRL_free(list) }
        let issuer = try Self.parsed(certificate)
        defer { X509_free(issuer) }
        X509_CRL_set_version(list, 1)
        X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer))
        let times = [content.thisUpdate, content.nextUpdate ?? 0, Self.now - 500].map { ASN1_TIME_set(nil, time_t($0)) }
        defer { for time in times { ASN1_STRING_free(time) } }
        X509_CRL_set1_lastUpdate(list, times[0])
        if content.nextUpdate != nil { X509_CRL_set1_nextUpdate(list, times[1]) }
        for entry in content.entries { try Self.add(entry, to: list, at: times[2]) }
        var extensions: [(kind: Int32, value: String)] = []
        for (kind, number) in [(NID_crl_number, content.number), (NID_delta_crl, content.base)] {
            guard let number else { continue }
            let value = ASN1_INTEGER_new()
            defer { ASN1_INTEGER_free(value) }
            ASN1_INTEGER_set(value, number)
            X509_CRL_add1_ext_i2d(list, kind, value, kind == NID_delta_crl ? 1 : 0, 0)
        }
        if let scope = content.scope { extensions.append((NID_issuing_distribution_point, "critical,\(scope)")) }
        if content.hasDeltas { extensions.append((NID_freshest_crl, "URI:http://example.org/delta.crl")) }
        if content.namesKey { extensions.append((NID_authority_key_identifier, "keyid:always")) }
        for (kind, value) in extensions {
            let made = try TestExtension.make(
                kind, value, sections: content.sections, issuer: issuer, subject: issuer, list: list)
            X509_CRL_add_ext(list, made, -1)
            X509_EXTENSION_free(made)
        }
        if content.isUnknown {
            let made = TestExtension.unknown()
            X509_CRL_add_ext(list, made, -1)
            X509_EXTENSION_free(made)
        }
        // Entries without an issuer of their own take that of the one before, so that the order has to stay.
        if content.entries.allSatisfy({ $0.issuer == nil }) { X509_CRL_sort(list) }
        let signer = content.signer ?? key
        try #require(X509_CRL_sign(list, signer.handle, signer.isEdwards ? nil : EVP_sha256()) > 0)
        return try #require(try RevocationList.read(written { i2d_X509_CRL_bio($0, list) }).first)
    }

    private static func add(
        _ content: TestRevocationList.Entry, to list: OpaquePointer?, at time: UnsafeMutablePointer<ASN1_TIME>?
    ) throws {
        let handle = try parsed(content.certificate)
        defer { X509_free(handle) }
        let entry = X509_REVOKED_new()
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(handle))
        X509_REVOKED_set_revocationDate(entry, time)
        let reason = ASN1_ENUMERATED_new()
        ASN1_ENUMERATED_set(reason, content.reason)
        X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0)
        ASN1_ENUMERATED_free(reason)
        if let issuer = content.issuer {
            let names = OPENSSL_sk_new_null()
            let name = GENERAL_NAME_new()
            name?.pointee.type = GEN_DIRNAME
            name?.pointee.d.directoryName = TestAuthority.name(issuer)
            OPENSSL_sk_push(names, name)
            X509_REVOKED_add1_ext_i2d(entry, NID_certificate_issuer, names.map { UnsafeMutableRawPointer($0) }, 1, 0)
            GENERAL_NAMES_free(names)
        }
        if content.isUnknown {
            let made = TestExtension.unknown()
            X509_REVOKED_add_ext(entry, made, -1)
            X509_EXTENSION_free(made)
        }
        X509_CRL_add0_revoked(list, entry)
    }
}

/// Extensions of certificates and CRLs, as openssl.cnf has them.
enum TestExtension {
    static func make(
        _ kind: Int32, _ value: String, sections: String, issuer: OpaquePointer?, subject: OpaquePointer?,
        list: OpaquePointer? = nil
    ) throws -> OpaquePointer {
        let configuration = NCONF_new(nil)
        defer { NCONF_free(configuration) }
        let text = Array(sections.utf8)
        let source = BIO_new_mem_buf(text, Int32(text.count))
        defer { BIO_free(source) }
        var line = 0
        if !text.isEmpty { try #require(NCONF_load_bio(configuration, source, &line) == 1, "line \(line)") }
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, subject, nil, list, 0)
        X509V3_set_nconf(&context, configuration)
        return try #require(X509V3_EXT_nconf_nid(configuration, &context, kind, value), "extension \(value)")
    }

    /// Critical, 1.2.3.4.5.
    static func unknown() -> OpaquePointer? {
        let value = ASN1_OCTET_STRING_new()
        defer { ASN1_OCTET_STRING_free(value) }
        ASN1_OCTET_STRING_set(value, [5, 0], 2)
        let object = OBJ_txt2obj("1.2.3.4.5", 1)
        defer { ASN1_OBJECT_free(object) }
        return X509_EXTENSION_create_by_OBJ(nil, object, 1, value)
    }
}
