import Cryptography
import Packets

/// The identity of a peer (RFC 7296 section 3.5), or a pattern for identities.
package enum Identity: Hashable, Sendable {
    /// `%any`: matches everybody; never sent.
    case any
    case address(IPAddress)
    /// `moon.example.org`, as a pattern also `*.example.org`.
    case domainName(String)
    /// `moon@example.org`, as a pattern also `*@example.org`.
    case email(String)
    /// A distinguished name; in a pattern, a value of `*` matches every value of that type.
    case distinguishedName(DistinguishedName)
    case keyID([UInt8])
}

extension Identity {
    /// Reads an identity as swanctl.conf has it. In this order: `%any`; a prefix that names the type (`fqdn:`, `email:`,
    /// `keyid:`, `asn1dn:`, `ipv4:`, `ipv6:`); `@name`, `@@mail` and `@#hex`; a distinguished name, which has "=", and is a
    /// key id when it is none; an e-mail address, which has "@"; an IP address; and else a domain name. Blanks around it do
    /// not count, but between a prefix and a name they do, and behind such a name.
    package init(parsing whole: String) throws(Problem) {
        let text = String(whole[...].trimmingSpaces)
        let colon = text.firstIndex(of: ":")
        let type = colon.flatMap { Self.types[text[..<$0].lowercased()] }
        let value = type == nil ? text : String(whole.drop { $0 != ":" }.dropFirst())
        try Self.refuseOtherForms(text, type: type, value: value)
        if ["", "*", "%any", "%any6"].contains(text.lowercased()) {
            self = .any
        } else if let type {
            self = try Self.typed(type, value)
        } else if text.hasPrefix("@#") {
            self = try Self.typed(.keyID, "0x" + text.dropFirst(2))
        } else if text.hasPrefix("@@") {
            self = try Self.typed(.email, String(text.dropFirst(2)))
        } else if text.hasPrefix("@") {
            self = try Self.typed(.domainName, String(text.dropFirst()))
        } else if text.contains("=") {
            self = DistinguishedName(text).map(Identity.distinguishedName) ?? .keyID(Array(text.utf8))
        } else if text.contains("@") {
            self = try Self.typed(.email, text)
        } else if let address = IPAddress(text) {
            self = address.isUnspecified ? .any : .address(address)
        } else if IPPrefix(text) != nil || IPAddress(String(text.prefix { $0 != "/" })) != nil {
            throw Problem(
                "\"\(text)\" is a subnet, and an identity is one address", remedy: "write \"%any\" or the address")
        } else {
            self = try Self.typed(text.contains(":") ? .keyID : .domainName, text)
        }
    }

    /// Refuses forms that other implementations read as something else than their letters.
    private static func refuseOtherForms(
        _ text: String, type: IdentificationTypeName?, value: String
    ) throws(Problem) {
        if type != .keyID, value.count > 1, value.hasPrefix("^"), value.hasSuffix("$") {
            throw Problem(
                "\"\(text)\" is a regular expression, and identities are matched by wildcards only",
                remedy: "write a name, or * for its first part as in *.example.org")
        }
        if text.hasPrefix("{"), let end = text.firstIndex(of: "}"), UInt8(text[..<end].dropFirst()) != nil {
            let rest = text[end...].dropFirst()
            throw Problem(
                "\"\(text)\" names its type by a number",
                remedy: "write it as a word: fqdn, email, keyid, asn1dn, ipv4 or ipv6, as in "
                    + "\"fqdn\(rest.hasPrefix(":") ? "" : ":")\(rest)\"")
        }
        let unknown = ["uri:", "asn1gn:", "xmppaddr:"].first { text.lowercased().hasPrefix($0) }
        if let unknown {
            throw Problem(
                "\"\(text)\" is of a type that IKEv2 does not have (\"\(unknown)\")",
                remedy: "write a domain name, an e-mail address, a distinguished name, or keyid: and the text")
        }
    }

    private static let types: [String: IdentificationTypeName] = [
        "fqdn": .domainName, "dns": .domainName, "email": .email, "rfc822": .email, "userfqdn": .email,
        "keyid": .keyID, "asn1dn": .distinguishedName, "ipv4": .address, "ipv6": .address,
    ]

    private enum IdentificationTypeName { case domainName, email, keyID, distinguishedName, address }

    private static func typed(_ type: IdentificationTypeName, _ value: String) throws(Problem) -> Identity {
        // In a file, what is behind a "#" without quotes is a comment.
        let isName = type == .domainName || type == .email
        guard !value.isEmpty, isName || !["0x", "#"].contains(value) else {
            throw Problem("the identity is empty", remedy: "write it between quotes if it has a \"#\"")
        }
        switch type {
        case .domainName: return .domainName(try name(value))
        case .email: return .email(try name(value))
        case .keyID:
            guard value.hasPrefix("0x") || value.hasPrefix("#") else { return .keyID(Array(value.utf8)) }
            guard let bytes = bytes(hexadecimal: value.dropFirst(value.hasPrefix("#") ? 1 : 2)) else {
                throw Problem("\"\(value)\" is not hexadecimal", remedy: "write keyid:0x and pairs of digits")
            }
            return .keyID(bytes)
        case .distinguishedName:
            let value = String(value[...].trimmingSpaces)
            if value.hasPrefix("#"), let der = bytes(hexadecimal: value.dropFirst()),
                let name = DistinguishedName(der: der)
            {
                return .distinguishedName(name)
            }
            guard let name = DistinguishedName(value) else {
                throw Problem(
                    "\"\(value)\" is not a distinguished name", remedy: "write it like \"C=CH, O=Example, CN=moon\"")
            }
            return .distinguishedName(name)
        case .address:
            guard let address = IPAddress(String(value[...].trimmingSpaces)) else {
                throw Problem("\"\(value)\" is not an IP address", remedy: "write it like ipv4:192.0.2.1")
            }
            return .address(address)
        }
    }

    /// The check for values that a peer could send too: the other end would not take anything else.
    private static func name(_ text: String) throws(Problem) -> String {
        if isName(text) { return text }
        throw Problem(
            "a name has control characters", remedy: "write the name, or keyid:0x and its bytes in hexadecimal digits")
    }

    /// Digits, with ":" between them or not; of an odd number, the first stands for a byte by itself. nil for anything else.
    private static func bytes(hexadecimal text: Substring) -> [UInt8]? {
        let digits = text.filter { $0 != ":" }
        guard !digits.isEmpty else { return nil }
        var bytes: [UInt8] = []
        var rest = Substring(digits.utf8.count.isMultiple(of: 2) ? digits : "0" + digits)
        while !rest.isEmpty {
            let pair = rest.prefix(2)
            guard pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}

extension Identity: CustomStringConvertible {
    /// The text as `init(parsing:)` reads it: with a prefix where the text alone would be of another type, and in
    /// hexadecimal digits what is no plain text.
    package var description: String {
        switch self {
        case .any: return "%any"
        case .address(let address):
            return plain("\(address)") ?? (address.family == .ipv4 ? "ipv4:" : "ipv6:") + "\(address)"
        case .domainName(let name): return plain(name) ?? "fqdn:" + name
        case .email(let address): return plain(address) ?? "email:" + address
        case .distinguishedName(let name):
            return plain(name.description) ?? "asn1dn:#" + Self.hexadecimal(name.der)
        case .keyID(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            let isText = !bytes.isEmpty && bytes.allSatisfy { (0x20...0x7e).contains($0) }
            let isRead = isText && ![" ", "#", "0x"].contains(where: text.hasPrefix) && !text.hasSuffix(" ")
            return isRead ? "keyid:" + text : "keyid:0x" + Self.hexadecimal(bytes)
        }
    }

    /// The text as a value of swanctl.conf: between quotes where it has to be.
    package var settingText: String {
        let text = description
        guard text.contains(where: "\"\\#{};".contains) || text.hasPrefix(" ") || text.hasSuffix(" ") else {
            return text
        }
        return "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    /// The text, if that is enough to know what is meant.
    private func plain(_ text: String) -> String? {
        guard let read = try? Identity(parsing: text), matches(read) == Self.exactMatch else { return nil }
        return text
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
