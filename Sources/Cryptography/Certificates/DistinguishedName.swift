import CLibCrypto

/// The name of a subject or issuer (RFC 5280 section 4.1.2.4).
public struct DistinguishedName: Hashable, Sendable, CustomStringConvertible {
    /// The DER of the Name, as an ID_DER_ASN1_DN identity carries it (RFC 7296 section 3.5).
    public let der: [UInt8]
    /// "C=CH, O=Example, CN=moon", in the order of the encoding.
    public let description: String

    /// Reads the DER of a Name; nil when it is none.
    public init?(der: [UInt8]) {
        let name = der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var cursor = buffer.baseAddress
            guard let name = d2i_X509_NAME(nil, &cursor, buffer.count) else { return nil }
            guard cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                X509_NAME_free(name)
                return nil
            }
            return name
        }
        defer { X509_NAME_free(name) }
        guard let name else {
            ERR_clear_error()
            return nil
        }
        self.init(der: der, name)
    }

    /// Reads "C=CH, O=Example, CN=moon" (or "/C=CH/O=Example") as `DistinguishedNameText` has it. nil when it is no such
    /// text.
    public init?(_ text: String) {
        guard let attributes = DistinguishedNameText.attributes(of: text), let name = X509_NAME_new() else {
            return nil
        }
        defer { X509_NAME_free(name) }
        for attribute in attributes {
            // -1: as one more value of the part before.
            let added = X509_NAME_add_entry_by_txt(
                name, attribute.type, attribute.stringType ?? MBSTRING_UTF8, attribute.value,
                Int32(clamping: attribute.value.count), -1, attribute.isFirstOfPart ? 0 : -1)
            guard added == 1 else {
                ERR_clear_error()
                return nil
            }
        }
        self.init(name)
    }

    /// Copies what libcrypto holds.
    init(_ name: OpaquePointer?) {
        var encoded: UnsafePointer<UInt8>?
        var count = 0
        X509_NAME_get0_der(name, &encoded, &count)
        self.init(der: Array(UnsafeBufferPointer(start: encoded, count: count)), name)
    }

    private init(der: [UInt8], _ name: OpaquePointer?) {
        self.der = der
        // RFC 2253's escapes, but letters beyond ASCII stay readable.
        let flags =
            XN_FLAG_SEP_CPLUS_SPC | ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_UTF8_CONVERT
            | ASN1_STRFLGS_DUMP_UNKNOWN | ASN1_STRFLGS_DUMP_DER
        description = text { X509_NAME_print_ex($0, name, 0, UInt(flags)) }
    }

    /// Whether both name the same: types and values in the same order, whatever string type carries a value, with
    /// case and repeated spaces ignored (RFC 5280 section 7.1).
    public func matches(_ other: DistinguishedName) -> Bool {
        if der == other.der { return true }
        guard let left = Self.parse(der), let right = Self.parse(other.der) else { return false }
        defer {
            X509_NAME_free(left)
            X509_NAME_free(right)
        }
        return X509_NAME_cmp(left, right) == 0
    }

    private static func parse(_ der: [UInt8]) -> OpaquePointer? {
        der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return d2i_X509_NAME(nil, &cursor, buffer.count)
        }
    }
}

/// The text that `write` prints into a memory BIO.
func text(_ write: (OpaquePointer?) -> Int32) -> String {
    let output = BIO_new(BIO_s_mem())
    defer { BIO_free(output) }
    guard write(output) >= 0 else { return "?" }
    var bytes = [UInt8](repeating: 0, count: Int(BIO_ctrl_pending(output)))
    let count = BIO_read(output, &bytes, Int32(clamping: bytes.count))
    return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
}
