import CLibCrypto

#if canImport(Glibc)
    import Glibc
#endif

/// Points in time of certificates and CRLs: seconds since 1970, UTC.
public enum CertificateTime {
    /// The seconds since 1970 of an ASN.1 time; nil for what is no time.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }

    /// "2026-11-23 14:43:39 UTC".
    public static func text(_ seconds: Int64) -> String {
        var parts = tm()
        var seconds = time_t(seconds)
        guard gmtime_r(&seconds, &parts) != nil else { return "\(seconds)" }
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
    }
}
