import Packets

/// Names of protocols and services that a selector is likely to have.
enum NetworkNames {
    /// As in /etc/protocols, which not every host has.
    private static let protocols: [String: UInt8] = [
        "any": 0, "ip": 0, "icmp": IPProtocol.icmp, "igmp": 2, "ipencap": IPProtocol.ipv4, "ipip": IPProtocol.ipv4,
        "tcp": IPProtocol.tcp, "udp": IPProtocol.udp, "dccp": IPProtocol.dccp, "ipv6": IPProtocol.ipv6,
        "gre": IPProtocol.gre, "esp": IPProtocol.esp, "ah": IPProtocol.ah, "ipv6-icmp": IPProtocol.icmpv6,
        "icmpv6": IPProtocol.icmpv6, "egp": 8, "rsvp": 46, "eigrp": 88, "ospf": 89, "ospfigp": 89, "pim": 103,
        "vrrp": 112, "l2tp": 115, "sctp": IPProtocol.sctp,
        "mobility-header": IPProtocol.mobility, "udplite": IPProtocol.udpLite,
    ]

    /// As in /etc/services.
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
