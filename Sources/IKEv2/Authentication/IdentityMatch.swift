import Cryptography
import IKEv2Messages
import Packets

extension Identity {
    /// A match without wildcards.
    static let exactMatch = 1000

    /// The closeness of an identity to a pattern: nil not at all, 0 for `%any`, more the fewer letters wildcards stand
    /// for, and `exactMatch` without any. Names are compared without regard to case, as those of certificates are.
    package func matches(_ pattern: Identity) -> Int? {
        switch (self, pattern) {
        case (_, .any): return 0
        case (.address(let own), .address(let other)): return own == other ? Self.exactMatch : nil
        case (.domainName(let own), .domainName(let other)), (.email(let own), .email(let other)):
            return Self.match(own, other)
        case (.keyID(let own), .keyID(let other)): return own == other ? Self.exactMatch : nil
        case (.distinguishedName(let own), .distinguishedName(let other)): return own.match(pattern: other)
        default: return nil
        }
    }

    /// Text, or a suffix of it behind "*". Behind "*." and "*@" something has to stand for the "*"; "*example.org" is also
    /// "example.org" itself.
    private static func match(_ own: String, _ pattern: String) -> Int? {
        let (own, pattern) = (own.loweredInASCII, pattern.loweredInASCII)
        if own == pattern { return exactMatch }
        guard pattern.hasPrefix("*") else { return nil }
        let suffix = pattern.dropFirst()
        let least = suffix.hasPrefix(".") || suffix.hasPrefix("@") ? suffix.utf8.count + 1 : suffix.utf8.count
        return own.hasSuffix(suffix) && own.utf8.count >= least ? min(1 + suffix.utf8.count, 999) : nil
    }

    /// The same identity in small letters, where `matches` does not regard case; one that is so already is not copied.
    var folded: Identity {
        let folded: Identity =
            switch self {
            case .domainName(let name): .domainName(name.loweredInASCII)
            case .email(let address): .email(address.loweredInASCII)
            case .any, .address, .distinguishedName, .keyID: self
            }
        return folded == self ? self : folded
    }

    /// Whether it stands for more than one identity.
    var isPattern: Bool {
        switch self {
        case .any: true
        case .address, .keyID: false
        case .domainName(let name): name.hasPrefix("*")
        case .email(let address): address.hasPrefix("*")
        case .distinguishedName(let name): name.hasWildcards
        }
    }

    /// The name that a certificate must have as its subject or among its subjectAltNames; nil when none can vouch for
    /// it.
    package var certificateName: SubjectAlternativeName? {
        switch self {
        case .any, .keyID: nil
        case .address(let address): address.family == .ipv4 ? .ipv4(address.bytes) : .ipv6(address.bytes)
        case .domainName(let name): .dns(name)
        case .email(let address): .email(address)
        case .distinguishedName(let name): .directoryName(name)
        }
    }
}

extension DistinguishedName {
    private static let wildcard = Array("*".utf8)

    /// The relative names as DER, each a SET; nil when the DER is not what it seems.
    private var relativeNames: [[UInt8]]? {
        var outer = DERReader(der)
        guard let content = outer.element(tag: 0x30), outer.isAtEnd else { return nil }
        var reader = DERReader(content)
        var names: [[UInt8]] = []
        while !reader.isAtEnd {
            guard let set = reader.element(tag: 0x31) else { return nil }
            names.append(set)
        }
        return names
    }

    /// Type (an object identifier) and value of a relative name that has one of each.
    private static func attribute(_ relativeName: [UInt8]) -> (type: [UInt8], value: [UInt8])? {
        var set = DERReader(relativeName)
        guard let pair = set.element(tag: 0x30), set.isAtEnd else { return nil }
        var reader = DERReader(pair)
        guard let type = reader.element(tag: 0x06), let value = reader.element(tag: nil), reader.isAtEnd else {
            return nil
        }
        return (type, value)
    }

    var hasWildcards: Bool {
        relativeNames?.contains { Self.attribute($0)?.value == Self.wildcard } ?? false
    }

    /// The match of a name with a pattern, as `Identity.matches`: relative names in the same order, a value of "*" fits
    /// every value of that type.
    func match(pattern: DistinguishedName) -> Int? {
        if matches(pattern) { return Identity.exactMatch }
        guard let own = relativeNames, let wanted = pattern.relativeNames, own.count == wanted.count else { return nil }
        var wildcards = 0
        for (mine, other) in zip(own, wanted) {
            if let right = Self.attribute(other), right.value == Self.wildcard {
                guard Self.attribute(mine)?.type == right.type else { return nil }
                wildcards += 1
            } else {
                guard let left = Self.single(mine), let right = Self.single(other), left.matches(right) else {
                    return nil
                }
            }
        }
        return max(2, Identity.exactMatch - 10 * wildcards)
    }

    /// A name of one relative name, to compare it as names are compared.
    private static func single(_ relativeName: [UInt8]) -> DistinguishedName? {
        DistinguishedName(der: DERReader.encode(0x30, DERReader.encode(0x31, relativeName)))
    }
}

/// Reads elements of DER one after the other.
private struct DERReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// The content of the next element; nil when it is incomplete or has another tag (nil: any).
    mutating func element(tag wanted: UInt8?) -> [UInt8]? {
        guard let tag = rest.popFirst(), wanted == nil || tag == wanted, let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            guard (0x81...0x83).contains(first), rest.count >= Int(first & 0x7f) else { return nil }
            length = rest.prefix(Int(first & 0x7f)).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(Int(first & 0x7f))
        }
        guard length <= rest.count else { return nil }
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
    }

    static func encode(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 0x80 { return [tag, UInt8(count)] + content }
        return [tag, 0x83] + [16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + content
    }
}

extension Identity {
    /// The identity that a peer claims; nil for types that are unknown here and data that does not fit its type. A
    /// domain name may have blanks: peers that send whatever text they are given use this type for it.
    package init?(_ payload: IdentificationPayload) {
        let data = payload.data
        switch payload.type {
        case .ipv4, .ipv6:
            let family: AddressFamily = payload.type == .ipv4 ? .ipv4 : .ipv6
            guard let address = IPAddress(networkOrder: data), address.family == family else { return nil }
            self = .address(address)
        case .fullyQualifiedDomainName:
            guard let name = Self.text(data) else { return nil }
            self = .domainName(name)
        case .emailAddress:
            guard let address = Self.text(data) else { return nil }
            self = .email(address)
        case .distinguishedName:
            guard let name = DistinguishedName(der: data) else { return nil }
            self = .distinguishedName(name)
        case .keyID:
            if data.isEmpty { return nil }
            self = .keyID(data)
        default: return nil
        }
    }

    private static func text(_ data: [UInt8]) -> String? {
        guard let text = String(validating: data, as: UTF8.self), isName(text) else { return nil }
        return text
    }

    /// Whether a domain name or e-mail address can be this. Names with control characters are none: they would end up in
    /// logs.
    static func isName(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }

    /// The payload of an identity; nil for `%any`.
    package var payload: IdentificationPayload? {
        switch self {
        case .any: nil
        case .address(let address):
            IdentificationPayload(type: address.family == .ipv4 ? .ipv4 : .ipv6, data: address.bytes)
        case .domainName(let name): IdentificationPayload(type: .fullyQualifiedDomainName, data: Array(name.utf8))
        case .email(let address): IdentificationPayload(type: .emailAddress, data: Array(address.utf8))
        case .distinguishedName(let name): IdentificationPayload(type: .distinguishedName, data: name.der)
        case .keyID(let bytes): IdentificationPayload(type: .keyID, data: bytes)
        }
    }
}

extension IPAddress {
    /// 4 or 16 bytes in network order; nil for any other count.
    init?(networkOrder bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        func number(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        if bytes.count == 4 {
            self.init(ipv4: UInt32(truncatingIfNeeded: number(bytes[...])))
        } else {
            self.init(ipv6High: number(bytes[..<8]), low: number(bytes[8...]))
        }
    }

    /// The bytes in network order, 4 or 16.
    var bytes: [UInt8] {
        let words = family == .ipv4 ? [low << 32] : [high, low]
        return words.flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }.prefix(family.byteCount).map(\.self)
    }
}
