import CLibCrypto

/// The uses that a certificate names for its key (RFC 5280 sections 4.2.1.3 and 4.2.1.12, RFC 4945 section 5.1.3).
extension Certificate {
    /// keyUsage, when it is there, has digitalSignature or nonRepudiation (RFC 4945 section 5.1.3.2).
    public var maySign: Bool {
        X509_get_key_usage(handle) & UInt32(KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION) != 0
    }

    /// keyUsage has cRLSign; without the extension, an authority may.
    var maySignRevocationLists: Bool {
        guard X509_get_extension_flags(handle) & UInt32(EXFLAG_KUSAGE) != 0 else { return isAuthority }
        return X509_get_key_usage(handle) & UInt32(KU_CRL_SIGN) != 0
    }

    /// The name that lists and certificates have for their issuer's key; nil when the certificate does not say.
    var subjectKeyIdentifier: [UInt8]? {
        guard let value = X509_get0_subject_key_id(handle) else { return nil }
        return Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(value), count: Int(ASN1_STRING_length(value))))
    }

    /// Purposes of extendedKeyUsage that are taken for IKE: any, id-kp-ipsecIKE (RFC 4945 section 5.1.3.12), those of
    /// IPsec that came before it, and those of TLS, which is all that many authorities put into gateways' certificates.
    private static let acceptedPurposes: Set<String> = [
        "2.5.29.37.0", "1.3.6.1.5.5.7.3.17",
        // ipsecEndSystem, ipsecTunnel, ipsecUser, iKEIntermediate.
        "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6", "1.3.6.1.5.5.7.3.7", "1.3.6.1.5.5.8.2.2",
        // serverAuth, clientAuth.
        "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2",
    ]

    /// Throws `wrongUsage` or `wrongPurpose` when its key may not sign in IKE_AUTH.
    func checkUsage() throws(CertificateError) {
        guard maySign else { throw .wrongUsage(subject: description) }
        guard let purposes else { return }
        guard purposes.contains(where: Self.acceptedPurposes.contains) else {
            throw .wrongPurpose(
                subject: description, purposes: purposes.isEmpty ? "damaged" : purposes.joined(separator: ", "))
        }
    }

    /// The object identifiers of extendedKeyUsage; nil when the certificate does not have it, none when it is damaged.
    private var purposes: [String]? {
        guard X509_get_ext_by_NID(handle, NID_ext_key_usage, -1) >= 0 else { return nil }
        guard let found = X509_get_ext_d2i(handle, NID_ext_key_usage, nil, nil) else {
            ERR_clear_error()
            return []
        }
        let purposes = OpaquePointer(found)
        defer { EXTENDED_KEY_USAGE_free(purposes) }
        return (0..<max(0, OPENSSL_sk_num(purposes))).compactMap { index in
            OPENSSL_sk_value(purposes, index).map { Self.numbers(OpaquePointer($0)) }
        }
    }

    /// "1.3.6.1.5.5.7.3.17".
    private static func numbers(_ object: OpaquePointer) -> String {
        var text = [CChar](repeating: 0, count: 128)
        let count = OBJ_obj2txt(&text, Int32(text.count), object, 1)
        return String(decoding: text.prefix(Int(max(0, min(count, 127)))).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// authorityInfoAccess names an OCSP responder (RFC 5280 section 4.2.2.1), and not just where the issuer's
    /// certificate is.
    static func namesResponder(_ certificate: OpaquePointer) -> Bool {
        guard let found = X509_get_ext_d2i(certificate, NID_info_access, nil, nil) else {
            // Damaged, it may have named one.
            return X509_get_ext_by_NID(certificate, NID_info_access, -1) >= 0
        }
        let access = OpaquePointer(found)
        defer { AUTHORITY_INFO_ACCESS_free(access) }
        return (0..<max(0, OPENSSL_sk_num(access))).contains { index in
            guard let item = OPENSSL_sk_value(access, index)?.assumingMemoryBound(to: ACCESS_DESCRIPTION.self) else {
                return false
            }
            return OBJ_obj2nid(item.pointee.method) == NID_ad_OCSP
        }
    }
}
