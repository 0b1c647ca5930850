import CLibCrypto

/// Reasons for a revocation, as bits (RFC 5280 section 4.2.1.13, ReasonFlags).
struct RevocationReasons: OptionSet, Hashable, Sendable {
    let rawValue: UInt16

    /// Bits 1 to 8, from keyCompromise to aACompromise; bit 0 is unused.
    static let all = RevocationReasons(rawValue: 0x1FE)

    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The reasons of a bit string: all of them without the field.
    fileprivate init(_ bits: UnsafeMutablePointer<ASN1_BIT_STRING>?) {
        guard let bits else {
            self = .all
            return
        }
        let set = (0..<9).filter { ASN1_BIT_STRING_get_bit(bits, Int32($0)) == 1 }
        self = RevocationReasons(rawValue: set.reduce(0) { $0 | 1 << UInt16($1) }).intersection(.all)
    }
}

/// One of the names of a distribution point or of a CRL's issuer, as far as such names are compared.
enum DistributionName: Hashable, Sendable {
    case directory(DistinguishedName)
    /// The DER of any other GeneralName, a URI as a rule.
    case other([UInt8])

    func matches(_ name: DistributionName) -> Bool {
        if case .directory(let own) = self, case .directory(let other) = name { return own.matches(other) }
        return self == name
    }

    fileprivate static func all(_ names: OpaquePointer?) -> [DistributionName] {
        (0..<max(0, OPENSSL_sk_num(names))).compactMap { index in
            guard let name = OPENSSL_sk_value(names, index)?.assumingMemoryBound(to: GENERAL_NAME.self) else {
                return nil
            }
            if name.pointee.type == GEN_DIRNAME { return .directory(DistinguishedName(name.pointee.d.directoryName)) }
            var encoded: UnsafeMutablePointer<UInt8>?
            let count = i2d_GENERAL_NAME(name, &encoded)
            defer { CRYPTO_free(encoded, #file, #line) }
            guard count > 0, let encoded else { return nil }
            return .other(Array(UnsafeBufferPointer(start: encoded, count: Int(count))))
        }
    }

    /// - Parameter issuer: whose name a relative name is relative to.
    fileprivate static func all(
        _ point: UnsafeMutablePointer<DIST_POINT_NAME>?, relativeTo issuer: OpaquePointer?
    ) -> [DistributionName] {
        guard let point else { return [] }
        if point.pointee.type == 0 { return all(point.pointee.name.fullname) }
        guard DIST_POINT_set_dpname(point, issuer) == 1, let name = point.pointee.dpname else { return [] }
        return [.directory(DistinguishedName(name))]
    }
}

extension Sequence where Element == DistributionName {
    func meets(_ others: [DistributionName]) -> Bool { contains { own in others.contains { own.matches($0) } } }
}

/// A place where a certificate says that its revocation is published (RFC 5280 section 4.2.1.13).
struct DistributionPoint {
    /// The names of the point; none: it has no name.
    let names: [DistributionName]
    let reasons: RevocationReasons
    /// The issuer of the CRL, when that is not the issuer of the certificate.
    let listIssuers: [DistributionName]

    /// The distribution points of a certificate. A damaged extension has none, and the certificate then none that could
    /// match.
    static func all(of certificate: OpaquePointer) -> [DistributionPoint] {
        guard let found = X509_get_ext_d2i(certificate, NID_crl_distribution_points, nil, nil) else { return [] }
        let points = OpaquePointer(found)
        defer { CRL_DIST_POINTS_free(points) }
        return (0..<max(0, OPENSSL_sk_num(points))).compactMap { index in
            guard let point = OPENSSL_sk_value(points, index)?.assumingMemoryBound(to: DIST_POINT.self) else {
                return nil
            }
            let listIssuers = DistributionName.all(point.pointee.CRLissuer)
            return DistributionPoint(
                names: DistributionName.all(
                    point.pointee.distpoint, relativeTo: X509_get_issuer_name(certificate)),
                reasons: RevocationReasons(point.pointee.reasons), listIssuers: listIssuers)
        }
    }
}

/// The scope of a CRL: its issuing distribution point (RFC 5280 section 5.2.5).
struct RevocationScope: Sendable {
    /// The DER of the extension, by which base and delta CRLs go together.
    let der: [UInt8]
    /// The names of the scope; none: no particular distribution point.
    let names: [DistributionName]
    let reasons: RevocationReasons
    let onlyEndEntities: Bool
    let onlyAuthorities: Bool
    let onlyAttributes: Bool
    /// The CRL has entries of other issuers too.
    let isIndirect: Bool

    /// Takes over what libcrypto has read.
    init(owning point: UnsafeMutablePointer<ISSUING_DIST_POINT>, issuer: OpaquePointer?) {
        defer { ISSUING_DIST_POINT_free(point) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_ISSUING_DIST_POINT(point, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        der = Array(UnsafeBufferPointer(start: encoded, count: Int(max(0, count))))
        names = DistributionName.all(point.pointee.distpoint, relativeTo: issuer)
        reasons = RevocationReasons(point.pointee.onlysomereasons)
        onlyEndEntities = point.pointee.onlyuser > 0
        onlyAuthorities = point.pointee.onlyCA > 0
        onlyAttributes = point.pointee.onlyattr > 0
        isIndirect = point.pointee.indirectCRL > 0
    }
}
