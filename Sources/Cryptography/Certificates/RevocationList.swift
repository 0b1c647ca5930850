import CLibCrypto
import Synchronization

/// A certificate revocation list (RFC 5280 section 5).
public final class RevocationList: Sendable {
    /// The whole list.
    public let der: [UInt8]
    public let issuer: DistinguishedName
    /// The time of issue, seconds since 1970, UTC.
    public let thisUpdate: Int64
    /// The time at which the next list is due, seconds since 1970, UTC; nil when the list does not say.
    public let nextUpdate: Int64?
    /// cRLNumber (RFC 5280 section 5.2.3); nil when it has none.
    public let number: Number?
    /// The complete list whose changes it holds; nil for a complete list (RFC 5280 section 5.2.4).
    public let baseNumber: Number?
    /// The scope of the list; nil: all certificates of its issuer, for all reasons.
    let scope: RevocationScope?
    /// The name of the key that signed it, as far as the list says.
    let authorityKeyIdentifier: [UInt8]?
    /// The list has a critical extension that is not known here, so that what it leaves out proves nothing.
    let isPartlyUnknown: Bool
    /// Never changed after `init`; libcrypto locks what it caches inside.
    nonisolated(unsafe) let handle: OpaquePointer
    /// Whether the key with this hash signed it: large lists take long to verify.
    private let verdicts = Mutex<[[UInt8]: Bool]>([:])

    public var isDelta: Bool { baseNumber != nil }

    /// A cRLNumber: up to 20 bytes, without leading zeros, most significant first.
    public struct Number: Hashable, Comparable, Sendable, CustomStringConvertible {
        let bytes: [UInt8]

        public static func < (left: Number, right: Number) -> Bool {
            if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
            return left.bytes.lexicographicallyPrecedes(right.bytes)
        }

        /// Decimal while it is short, else hexadecimal.
        public var description: String {
            if bytes.count < 8 { return "\(bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })" }
            return "0x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }

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
        // From here on each list frees its own handle, also those behind one that is damaged.
        let lists = found.map { handle in Result { () throws(CertificateError) in try RevocationList(owning: handle) } }
        var readable: [RevocationList] = []
        for list in lists { readable.append(try list.get()) }
        return readable
    }

    /// Takes over the reference.
    private init(owning handle: OpaquePointer) throws(CertificateError) {
        self.handle = handle
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_CRL(handle, &encoded)
        defer { CRYPTO_free(encoded, #file, #line) }
        let parts: RevocationListParts
        do throws(CertificateError) {
            guard let issued = CertificateTime.seconds(X509_CRL_get0_lastUpdate(handle)) else {
                throw .unreadable(what: "CRL", reason: "it has no time of issue")
            }
            guard count > 0 else {
                throw .unreadable(what: "CRL", reason: "it cannot be encoded again" + libraryReason())
            }
            thisUpdate = issued
            parts = try RevocationListParts(handle)
        } catch {
            X509_CRL_free(handle)
            throw error
        }
        der = Array(UnsafeBufferPointer(start: encoded, count: Int(count)))
        issuer = DistinguishedName(X509_CRL_get_issuer(handle))
        nextUpdate = CertificateTime.seconds(X509_CRL_get0_nextUpdate(handle))
        number = parts.number
        baseNumber = parts.baseNumber
        scope = parts.scope
        authorityKeyIdentifier = parts.authorityKeyIdentifier
        isPartlyUnknown = parts.isPartlyUnknown
    }

    deinit { X509_CRL_free(handle) }
}

extension RevocationList: Hashable {
    public static func == (left: RevocationList, right: RevocationList) -> Bool { left.der == right.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
}

// MARK: - What it says

extension RevocationList {
    /// The entry of a list for one certificate.
    enum Entry {
        case none
        case revoked(since: Int64?, reason: String?)
        /// removeFromCRL, of delta lists: no longer on hold.
        case removed
    }

    /// Goes by issuer and serial number; entries of an indirect list name their issuer (RFC 5280 section 5.3.3).
    func entry(of certificate: OpaquePointer) -> Entry {
        var entry: OpaquePointer?
        switch X509_CRL_get0_by_cert(handle, &entry, certificate) {
        case 1: break
        case 2: return .removed
        default: return .none
        }
        let value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, nil, nil)
        let code = value.map { ASN1_ENUMERATED_get($0.assumingMemoryBound(to: ASN1_ENUMERATED.self)) }
        if let value { ASN1_ENUMERATED_free(value.assumingMemoryBound(to: ASN1_ENUMERATED.self)) }
        return .revoked(
            since: CertificateTime.seconds(X509_REVOKED_get0_revocationDate(entry)), reason: code.flatMap(Self.reason))
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

    /// Whether this delta list can change that complete one (RFC 5280 section 5.2.4), going by names and numbers.
    public func continues(_ complete: RevocationList) -> Bool {
        guard let baseNumber, let number = complete.number, !complete.isDelta else { return false }
        return number >= baseNumber && issuer.matches(complete.issuer) && scope?.der == complete.scope?.der
    }

    func isCurrent(at time: Int64) -> Bool { thisUpdate <= time && time <= nextUpdate ?? .max }

    /// Verdicts that are kept; an issuer has few keys.
    private static let maximumVerdicts = 16

    /// Whether `certificate` is of its issuer, may sign lists (RFC 5280 section 6.3.3 step f) and has the key that did.
    public func isSigned(by certificate: Certificate) -> Bool {
        guard certificate.subject.matches(issuer), certificate.maySignRevocationLists else { return false }
        if let wanted = authorityKeyIdentifier, let own = certificate.subjectKeyIdentifier, wanted != own {
            return false
        }
        let hash = certificate.publicKeyHash
        if let known = verdicts.withLock({ $0[hash] }) { return known }
        let verdict = X509_CRL_verify(handle, X509_get0_pubkey(certificate.handle)) == 1
        ERR_clear_error()
        verdicts.withLock { verdicts in
            if verdicts.count < Self.maximumVerdicts { verdicts[hash] = verdict }
        }
        return verdict
    }
}

/// The treatment of certificates whose revocation status is unknown (swanctl.conf `revocation`).
public enum RevocationPolicy: String, Hashable, Sendable, CaseIterable {
    /// Refuse them.
    case strict
    /// Refuse those that say where their CRL or OCSP responder is.
    case ifURI = "ifuri"
    /// Accept them; only a certificate known to be revoked is refused.
    case relaxed

    /// Whether a certificate of unknown status passes.
    func tolerates(_ certificate: Certificate) -> Bool {
        switch self {
        case .strict: false
        case .relaxed: true
        case .ifURI: !certificate.namesRevocationSource
        }
    }
}
