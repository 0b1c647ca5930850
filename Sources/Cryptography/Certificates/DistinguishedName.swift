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

    /// Reads "C=CH, O=Example, CN=moon" (or "/C=CH/O=Example"); types by short name, long name or object identifier.
    /// A backslash takes the next character literally. nil when it is no such text.
    public init?(_ text: String) {
        guard let parts = Self.split(text), let name = X509_NAME_new() else { return nil }
        defer { X509_NAME_free(name) }
        for (type, value) in parts {
            let bytes = Array(value.utf8)
            let added = X509_NAME_add_entry_by_txt(
                name, Self.libraryType(type), MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0)
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

    /// "E" and its kin are common in configurations, but not libcrypto's.
    private static func libraryType(_ type: String) -> String {
        switch type.uppercased() {
        case "E", "EMAIL": "emailAddress"
        case "G": "GN"
        case "S", "ST": "ST"
        case "C", "O", "L", "CN", "OU", "SN", "DC", "GN", "UID": type.uppercased()
        default: type
        }
    }

    /// Types and values; nil for empty text and for parts without "=".
    private static func split(_ text: String) -> [(type: String, value: String)]? {
        let slashes = text.hasPrefix("/")
        var parts: [String] = [""]
        var escaped = false
        for character in slashes ? text.dropFirst() : text[...] {
            if escaped {
                parts[parts.count - 1].append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == (slashes ? "/" : ",") {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        let pairs = parts.compactMap { part -> (String, String)? in
            guard let equals = part.firstIndex(of: "=") else { return nil }
            let (type, value) = (trim(part[..<equals]), trim(part[part.index(after: equals)...]))
            return type.isEmpty || value.isEmpty ? nil : (type, value)
        }
        return pairs.count == parts.count && !escaped ? pairs : nil
    }

    private static func trim(_ text: Substring) -> String {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

/// What `write` prints into a memory BIO.
func text(_ write: (OpaquePointer?) -> Int32) -> String {
    let output = BIO_new(BIO_s_mem())
    defer { BIO_free(output) }
    guard write(output) >= 0 else { return "?" }
    var bytes = [UInt8](repeating: 0, count: Int(BIO_ctrl_pending(output)))
    let count = BIO_read(output, &bytes, Int32(clamping: bytes.count))
    return String(decoding: bytes.prefix(max(0, Int(count))), as: UTF8.self)
}
