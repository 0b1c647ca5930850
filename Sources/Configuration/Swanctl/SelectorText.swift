import IKEv2
import IPsec
import Packets

/// What is wrong with a word, and what to write instead.
struct WordProblem: Error {
    let reason: String
    let remedy: String
}

/// Items of `local_ts` and `remote_ts`: `10.1.0.0/16[tcp/443]`, `dynamic[udp]`, `10.0.0.1-10.0.0.9`.
enum SelectorText {
    static func parse(_ text: String) throws(WordProblem) -> SelectorSide {
        guard let bracket = text.firstIndex(of: "[") else {
            return SelectorSide(addresses: try addresses(text))
        }
        guard text.hasSuffix("]") else { throw form("the ']' is missing") }
        let place = SectionReader.trimmed(String(text[..<bracket]))
        var side = SelectorSide(addresses: place.isEmpty ? nil : try addresses(place))
        let inner = text[text.index(after: bracket)...].dropLast()
        let parts = inner.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            .map { SectionReader.trimmed(String($0)) }
        let name = parts.first ?? ""
        if !name.isEmpty, name != "%any" {
            guard let number = NetworkNames.protocols[name.lowercased()] ?? SectionReader.digits(name, as: UInt8.self)
            else {
                throw WordProblem(
                    reason: "'\(name)' is no known protocol",
                    remedy: "use tcp, udp, sctp, icmp, ipv6-icmp, gre or a number from 0 to 255")
            }
            side.protocolNumber = number == 0 ? nil : number
        }
        guard parts.count > 1, !parts[1].isEmpty, parts[1] != "%any" else { return side }
        if parts[1] == "opaque" {
            side.hasOpaquePorts = true
        } else {
            side.ports = try ports(parts[1], side.protocolNumber)
        }
        return side
    }

    /// A prefix, an address or a range; nil for `dynamic`.
    private static func addresses(_ text: String) throws(WordProblem) -> AddressRange? {
        if text == "dynamic" { return nil }
        guard let range = PeerAddressText.range(text) else {
            throw form("neither addresses nor 'dynamic'")
        }
        return range
    }

    private static func form(_ reason: String) -> WordProblem {
        WordProblem(
            reason: reason, remedy: "write it as 10.1.0.0/16, 10.1.0.0/16[tcp/443], 10.1.0.1-10.1.0.9 or dynamic[udp]")
    }

    private static func ports(_ text: String, _ number: UInt8?) throws(WordProblem) -> ClosedRange<UInt16> {
        if number == IPProtocol.icmp || number == IPProtocol.icmpv6 { return try messageTypes(text) }
        if let number,
            ![IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.dccp, IPProtocol.udpLite].contains(number)
        {
            throw WordProblem(
                reason: "protocol \(number) has no ports", remedy: "leave '/\(text)' out, or use tcp, udp, sctp or dccp"
            )
        }
        if let port = NetworkNames.services[text.lowercased()] { return port...port }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            .map { SectionReader.digits(SectionReader.trimmed(String($0)), as: UInt16.self) }
        if ends.count == 1, let port = ends[0] { return port...port }
        if ends.count == 2, let first = ends[0], let last = ends[1], first <= last { return first...last }
        throw WordProblem(
            reason: "'\(text)' is no port and no service that is known here",
            remedy: "give a number or a range from 0 to 65535, as in [tcp/443] or [udp/1024-2047]")
    }

    /// `type`, `type(code)`, or both as one number, type × 256 + code, as RFC 7296 section 3.13.1 carries it.
    private static func messageTypes(_ text: String) throws(WordProblem) -> ClosedRange<UInt16> {
        let problem = WordProblem(
            reason: "'\(text)' is no ICMP type", remedy: "write type(code), as in [icmp/8(0)], or leave it out for all")
        if text.hasSuffix(")"), let open = text.firstIndex(of: "(") {
            let code = text[text.index(after: open)...].dropLast()
            guard let type = SectionReader.digits(String(text[..<open]), as: UInt8.self),
                let code = SectionReader.digits(String(code), as: UInt8.self)
            else { throw problem }
            let value = UInt16(type) << 8 | UInt16(code)
            return value...value
        }
        guard let value = SectionReader.digits(text, as: UInt16.self) else { throw problem }
        guard value == 0 || value > 255 else {
            throw WordProblem(
                reason: "as one number \(value) means type 0 with code \(value), which is rarely meant",
                remedy: "write [icmp/\(value)(0)] for type \(value), or [icmp/0(\(value))]")
        }
        return value...value
    }
}

/// Addresses as swanctl.conf has them.
enum PeerAddressText {
    /// A prefix, an address or a range of two addresses with "-" between them.
    static func range(_ text: String) -> AddressRange? {
        if let prefix = IPPrefix(text) { return AddressRange(prefix) }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            .map { IPAddress(SectionReader.trimmed(String($0))) }
        guard ends.count == 2, let first = ends[0], let last = ends[1] else { return nil }
        return AddressRange(first: first, last: last)
    }

    /// One item of `local_addrs` or `remote_addrs`; nil for `%any`.
    static func pattern(_ text: String) throws(WordProblem) -> AddressPattern? {
        switch text.lowercased() {
        case "%any": return nil
        case "%any4": return .range(.any(.ipv4))
        case "%any6": return .range(.any(.ipv6))
        default: break
        }
        if let range = range(text) {
            // The unspecified address is the old way to write "any".
            return range.first == range.last && range.first.isUnspecified ? .range(.any(range.family)) : .range(range)
        }
        guard isHostName(text) else {
            throw WordProblem(
                reason: "neither an address nor a host name",
                remedy: "write an address, a subnet, FIRST-LAST, a host name, or %any")
        }
        return .name(text)
    }

    /// Letters, digits, hyphens and dots (RFC 1123 section 2.1), and not just digits and dots.
    private static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count), !text.hasPrefix("-"), !text.hasPrefix(".") else { return false }
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        return isName && text.contains { $0.isLetter }
    }
}

/// Names of protocols and services that a selector is likely to have.
enum NetworkNames {
    /// As in /etc/protocols.
    static let protocols: [String: UInt8] = [
        "any": 0, "ip": 0, "icmp": IPProtocol.icmp, "igmp": 2, "ipencap": IPProtocol.ipv4, "ipip": IPProtocol.ipv4,
        "tcp": IPProtocol.tcp, "udp": IPProtocol.udp, "dccp": IPProtocol.dccp, "ipv6": IPProtocol.ipv6,
        "gre": IPProtocol.gre, "esp": IPProtocol.esp, "ah": IPProtocol.ah, "ipv6-icmp": IPProtocol.icmpv6,
        "icmpv6": IPProtocol.icmpv6, "ospf": 89, "l2tp": 115, "sctp": IPProtocol.sctp,
        "mobility-header": IPProtocol.mobility, "udplite": IPProtocol.udpLite,
    ]

    /// As in /etc/services.
    static let services: [String: UInt16] = [
        "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68,
        "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137,
        "netbios-dgm": 138, "netbios-ssn": 139, "imap2": 143, "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179,
        "ldap": 389, "https": 443, "microsoft-ds": 445, "submission": 587, "syslog": 514, "ldaps": 636, "imaps": 993,
        "pop3s": 995, "l2f": 1701, "l2tp": 1701, "radius": 1812, "radius-acct": 1813, "nfs": 2049, "mysql": 3306,
        "sip": 5060, "sips": 5061, "postgresql": 5432, "vxlan": 4789, "domain-s": 853,
    ]
}
