import CLibCrypto

/// The extensions of a CRL that decide what it says (RFC 5280 section 5.2).
struct RevocationListParts {
    private(set) var number: RevocationList.Number?
    private(set) var baseNumber: RevocationList.Number?
    private(set) var scope: RevocationScope?
    private(set) var authorityKeyIdentifier: [UInt8]?
    private(set) var isPartlyUnknown: Bool

    /// Throws `unreadable` for extensions that are damaged or contradict each other: such a list must not pass for a
    /// simpler one.
    init(_ list: OpaquePointer) throws(CertificateError) {
        isPartlyUnknown = Self.hasUnknownCriticalExtension(list) || Self.hasUnknownCriticalEntry(list)
        number = try Self.number(list, NID_crl_number, "number")
        baseNumber = try Self.number(list, NID_delta_crl, "delta CRL indicator")
        if let value = try Self.value(list, NID_issuing_distribution_point, "issuing distribution point") {
            scope = RevocationScope(
                owning: value.assumingMemoryBound(to: ISSUING_DIST_POINT.self), issuer: X509_CRL_get_issuer(list))
        }
        if let value = try Self.value(list, NID_authority_key_identifier, "authority key identifier") {
            let identifier = value.assumingMemoryBound(to: AUTHORITY_KEYID.self)
            defer { AUTHORITY_KEYID_free(identifier) }
            authorityKeyIdentifier = identifier.pointee.keyid.map(Self.bytes)
        }
        if let scope, [scope.onlyEndEntities, scope.onlyAuthorities, scope.onlyAttributes].filter(\.self).count > 1 {
            throw .unreadable(what: "CRL", reason: "it is for two kinds of certificates alone at once")
        }
        if let scope, scope.reasons.isEmpty {
            throw .unreadable(what: "CRL", reason: "its issuing distribution point has no reasons")
        }
        guard let baseNumber else { return }
        guard let number, baseNumber < number else {
            throw .unreadable(what: "CRL", reason: "it is a delta CRL without a number above that of its base")
        }
    }

    /// The value of an extension; nil: it is not there.
    private static func value(
        _ list: OpaquePointer, _ kind: Int32, _ what: String
    ) throws(CertificateError) -> UnsafeMutableRawPointer? {
        var critical: Int32 = 0
        if let value = X509_CRL_get_ext_d2i(list, kind, &critical, nil) { return value }
        // -1: not there; -2: more than once.
        if critical == -1 { return nil }
        throw .unreadable(what: "CRL", reason: "its \(what) is damaged" + libraryReason())
    }

    private static func number(
        _ list: OpaquePointer, _ kind: Int32, _ what: String
    ) throws(CertificateError) -> RevocationList.Number? {
        guard let value = try value(list, kind, what) else { return nil }
        let integer = value.assumingMemoryBound(to: ASN1_INTEGER.self)
        defer { ASN1_INTEGER_free(integer) }
        guard ASN1_STRING_type(integer) == V_ASN1_INTEGER else {
            throw .unreadable(what: "CRL", reason: "its \(what) is below zero")
        }
        return RevocationList.Number(bytes: Array(bytes(integer).drop { $0 == 0 }))
    }

    private static func bytes(_ string: UnsafeMutablePointer<ASN1_STRING>) -> [UInt8] {
        Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
    }

    private static func hasUnknownCriticalExtension(_ list: OpaquePointer) -> Bool {
        let known = [
            NID_issuing_distribution_point, NID_delta_crl, NID_crl_number, NID_authority_key_identifier,
        ]
        return (0..<X509_CRL_get_ext_count(list)).contains { index in
            let found = X509_CRL_get_ext(list, index)
            return X509_EXTENSION_get_critical(found) == 1
                && !known.contains(OBJ_obj2nid(X509_EXTENSION_get_object(found)))
        }
    }

    private static func hasUnknownCriticalEntry(_ list: OpaquePointer) -> Bool {
        let entries = X509_CRL_get_REVOKED(list)
        return (0..<max(0, OPENSSL_sk_num(entries))).contains { index in
            let entry = OPENSSL_sk_value(entries, index).map { OpaquePointer($0) }
            var position = X509_REVOKED_get_ext_by_critical(entry, 1, -1)
            while position >= 0 {
                let kind = OBJ_obj2nid(X509_EXTENSION_get_object(X509_REVOKED_get_ext(entry, position)))
                if kind != NID_certificate_issuer && kind != NID_crl_reason { return true }
                position = X509_REVOKED_get_ext_by_critical(entry, 1, position)
            }
            return false
        }
    }
}
