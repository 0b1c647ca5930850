import Cryptography
import Packets

/// Who a peer says it is (RFC 7296 section 3.5), or a pattern for that.
public enum Identity: Hashable, Sendable {
    /// `%any`: matches everybody; never sent.
    case any
    case address(IPAddress)
    /// `moon.example.org`, as a pattern also `*.example.org`.
    case domainName(String)
    /// `moon@example.org`, as a pattern also `*@example.org`.
    case email(String)
    /// As a pattern, a value of `*` matches every value of that type.
    case distinguishedName(DistinguishedName)
    case keyID([UInt8])
}
