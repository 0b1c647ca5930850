import CLibCrypto

/// A subjectAltName (RFC 5280 section 4.2.1.6) of a kind that can be an IKE identity.
public enum SubjectAlternativeName: Hashable, Sendable, CustomStringConvertible {
    /// A DNS name, the FQDN identity.
    case dns(String)
    case email(String)
    /// 4 bytes, network order.
    case ipv4([UInt8])
    /// 16 bytes, network order.
    case ipv6([UInt8])
    case uri(String)
    case directoryName(DistinguishedName)

    public var description: String {
        switch self {
        case .dns(let name), .email(let name), .uri(let name): name
        case .ipv4(let bytes): bytes.map(String.init).joined(separator: ".")
        case .ipv6(let bytes):
            stride(from: 0, to: bytes.count - 1, by: 2)
                .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
        case .directoryName(let name): name.description
        }
    }

    /// Whether both name the same. Case does not matter in DNS names and mailboxes; in the part of a mailbox before the @
    /// it could (RFC 5280 section 7.5), but nobody gives two owners addresses that differ in nothing else, and IKE
    /// identities are compared so too.
    public func matches(_ other: SubjectAlternativeName) -> Bool {
        switch (self, other) {
        case (.dns(let own), .dns(let other)), (.email(let own), .email(let other)):
            own.loweredInASCII == other.loweredInASCII
        case (.directoryName(let own), .directoryName(let other)): own.matches(other)
        default: self == other
        }
    }

    /// All of a certificate that are of a known kind.
    static func all(of certificate: OpaquePointer) -> [SubjectAlternativeName] {
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        defer { GENERAL_NAMES_free(OpaquePointer(names)) }
        let stack = OpaquePointer(names)
        return (0..<max(0, OPENSSL_sk_num(stack))).compactMap { index in
            OPENSSL_sk_value(stack, index).flatMap { Self($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
        }
    }

    private init?(_ name: UnsafeMutablePointer<GENERAL_NAME>) {
        let value = name.pointee.d
        switch name.pointee.type {
        case GEN_DNS: self = .dns(Self.text(value.dNSName))
        case GEN_EMAIL: self = .email(Self.text(value.rfc822Name))
        case GEN_URI: self = .uri(Self.text(value.uniformResourceIdentifier))
        case GEN_DIRNAME: self = .directoryName(DistinguishedName(value.directoryName))
        case GEN_IPADD:
            let bytes = Self.bytes(value.iPAddress)
            switch bytes.count {
            case 4: self = .ipv4(bytes)
            case 16: self = .ipv6(bytes)
            default: return nil
            }
        default: return nil
        }
    }

    /// The whole string: a zero byte in the middle stays, so that it equals no name that looks alike.
    private static func text(_ string: UnsafeMutablePointer<ASN1_STRING>?) -> String {
        String(decoding: bytes(string), as: UTF8.self)
    }

    private static func bytes(_ string: UnsafeMutablePointer<ASN1_STRING>?) -> [UInt8] {
        Array(UnsafeBufferPointer(start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
    }
}

extension String {
    /// The text with A to Z as small letters. Unicode has other letters whose small form is one of these, and they are
    /// not the same.
    public var loweredInASCII: String {
        String(decoding: utf8.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}
