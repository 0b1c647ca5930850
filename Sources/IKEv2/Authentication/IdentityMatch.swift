import Cryptography

extension Identity {
    /// A match without wildcards.
    static let exactMatch = 1000

    /// How well an identity fits a pattern: nil not at all, 0 for `%any`, more the fewer letters wildcards stand for, and
    /// `exactMatch` without any. Names are compared without regard to case, as those of certificates are.
    public func matches(_ pattern: Identity) -> Int? {
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

    /// What a certificate must have as its subject or among its subjectAltNames; nil when none can vouch for it.
    public var certificateName: SubjectAlternativeName? {
        switch self {
        case .any, .keyID: nil
        case .address(let address): address.family == .ipv4 ? .ipv4(address.bytes) : .ipv6(address.bytes)
        case .domainName(let name): .dns(name)
        case .email(let address): .email(address)
        case .distinguishedName(let name): .directoryName(name)
        }
    }
}
