import IKEv2
import IPsec
import Packets

/// Items of `local_ts` and `remote_ts`: `10.1.0.0/16[tcp/443]`, `dynamic[udp]`, `10.0.0.1-10.0.0.9`.
enum SelectorText {
    static func parse(_ text: String) throws(Problem) -> SelectorSide {
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
        if !isAny(name) {
            guard let number = SectionReader.digits(name, as: UInt8.self) ?? NetworkNames.protocolNumber(name)
            else {
                throw Problem(
                    "unknown protocol '\(name)'",
                    remedy:
                        "use tcp, udp, sctp, icmp, ipv6-icmp, gre, a name of /etc/protocols or a number from 0 to 255")
            }
            side.protocolNumber = number == 0 ? nil : number
        }
        guard parts.count > 1, !isAny(parts[1]) else { return side }
        if parts[1].lowercased() == "opaque" {
            side.hasOpaquePorts = true
        } else {
            side.ports = try ports(parts[1], side.protocolNumber)
        }
        return side
    }

    private static func isAny(_ text: String) -> Bool { ["", "any", "%any"].contains(text.lowercased()) }

    /// A prefix, an address or a range; nil for `dynamic`.
    private static func addresses(_ text: String) throws(Problem) -> AddressRange? {
        if text.lowercased() == "dynamic" { return nil }
        guard let range = PeerAddressText.range(text) else {
            throw form("neither addresses nor 'dynamic'")
        }
        return range
    }

    private static func form(_ reason: String) -> Problem {
        Problem(reason, remedy: "write it as 10.1.0.0/16, 10.1.0.0/16[tcp/443], 10.1.0.1-10.1.0.9 or dynamic[udp]")
    }

    private static func ports(_ text: String, _ number: UInt8?) throws(Problem) -> ClosedRange<UInt16> {
        if number == IPProtocol.icmp || number == IPProtocol.icmpv6 { return try messageTypes(text) }
        if let number,
            ![IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp, IPProtocol.dccp, IPProtocol.udpLite].contains(number)
        {
            throw Problem(
                "protocol \(number) has no ports", remedy: "leave '/\(text)' out, or use tcp, udp, sctp or dccp"
            )
        }
        if let ports = numbers(text) { return ports }
        if let port = NetworkNames.port(text) { return port...port }
        throw Problem(
            "unknown port or service '\(text)'",
            remedy: "give a number or a range from 0 to 65535, as in [tcp/443] or [udp/1024-2047]")
    }

    /// A number, or two in order with "-" between them.
    private static func numbers(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
            .map { SectionReader.digits(SectionReader.trimmed(String($0)), as: UInt16.self) }
        guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else {
            return nil
        }
        return first...last
    }

    /// `type(code)`; else a number or range of them: below 256 a type (with code 0), from there on type × 256 + code, as
    /// RFC 7296 section 3.13.1 carries it.
    private static func messageTypes(_ text: String) throws(Problem) -> ClosedRange<UInt16> {
        let problem = Problem(
            "invalid ICMP type '\(text)'",
            remedy: "write type(code), as in [icmp/8(0)], or leave it out for all")
        if text.hasSuffix(")"), let open = text.firstIndex(of: "(") {
            let code = text[text.index(after: open)...].dropLast()
            guard let type = SectionReader.digits(String(text[..<open]), as: UInt8.self),
                let code = SectionReader.digits(String(code), as: UInt8.self)
            else { throw problem }
            let value = UInt16(type) << 8 | UInt16(code)
            return value...value
        }
        guard let values = numbers(text) else { throw problem }
        func typed(_ value: UInt16) -> UInt16 { value < 256 ? value << 8 : value }
        let (first, last) = (typed(values.lowerBound), typed(values.upperBound))
        guard first <= last else { throw problem }
        return first...last
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
    static func pattern(_ text: String) throws(Problem) -> AddressPattern? {
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
            throw Problem(
                "neither an address nor a host name",
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
    /// Protocols as in /etc/protocols, which not every host has.
    private static let protocols: [String: UInt8] = [
        "any": 0, "ip": 0, "icmp": IPProtocol.icmp, "igmp": 2, "ipencap": IPProtocol.ipv4, "ipip": IPProtocol.ipv4,
        "tcp": IPProtocol.tcp, "udp": IPProtocol.udp, "dccp": IPProtocol.dccp, "ipv6": IPProtocol.ipv6,
        "gre": IPProtocol.gre, "esp": IPProtocol.esp, "ah": IPProtocol.ah, "ipv6-icmp": IPProtocol.icmpv6,
        "icmpv6": IPProtocol.icmpv6, "egp": 8, "rsvp": 46, "eigrp": 88, "ospf": 89, "ospfigp": 89, "pim": 103,
        "vrrp": 112, "l2tp": 115, "sctp": IPProtocol.sctp,
        "mobility-header": IPProtocol.mobility, "udplite": IPProtocol.udpLite,
    ]

    /// Ports as in /etc/services.
    private static let services: [String: UInt16] = [
        "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68,
        "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137,
        "netbios-dgm": 138, "netbios-ssn": 139, "imap2": 143, "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179,
        "ldap": 389, "https": 443, "microsoft-ds": 445, "submission": 587, "syslog": 514, "ldaps": 636, "imaps": 993,
        "pop3s": 995, "l2f": 1701, "l2tp": 1701, "radius": 1812, "radius-acct": 1813, "nfs": 2049, "mysql": 3306,
        "sip": 5060, "sips": 5061, "postgresql": 5432, "vxlan": 4789, "domain-s": 853,
        "tacacs": 49, "rsync": 873, "iscsi-target": 3260, "ms-wbt-server": 3389, "x11": 6000, "zabbix-agent": 10050,
        "isakmp": 500, "ipsec-nat-t": 4500, "ms-sql-s": 1433, "rdp": 3389, "svn": 3690,
    ]

    /// The number of a protocol; nil when neither we nor /etc/protocols know its name.
    static func protocolNumber(_ name: String) -> UInt8? {
        protocols[name.lowercased()] ?? number(of: name, inFile: "/etc/protocols").flatMap { UInt8($0) }
    }

    /// The port of a service, whatever its protocol; nil when neither we nor /etc/services know its name.
    static func port(_ name: String) -> UInt16? {
        services[name.lowercased()] ?? number(of: name, inFile: "/etc/services").flatMap { UInt16($0) }
    }

    private static func number(of name: String, inFile path: String) -> Substring? {
        guard let content = try? FileContent(path: path, maximum: 1 << 20) else { return nil }
        return number(of: name, in: String(decoding: content.bytes, as: UTF8.self))
    }

    /// Lines are `name number aliases…` or `name number/protocol aliases…`, with comments behind "#".
    static func number(of name: String, in text: String) -> Substring? {
        let name = name.lowercased()
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2 else { continue }
            if ([words[0]] + words.dropFirst(2)).contains(where: { $0.lowercased() == name }) {
                return words[1].prefix { $0 != "/" }
            }
        }
        return nil
    }
}
