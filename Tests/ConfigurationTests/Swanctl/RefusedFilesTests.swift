import Configuration
import Testing

/// The whole text of errors that real files meet: the line at fault, what it is, and what to write.
@Suite struct RefusedFilesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var file: SiteFile
        var errors: [String]
        var testDescription: String { file.title }
    }

    private static func row(_ file: SiteFile, _ errors: String...) -> Row {
        Row(file: file, errors: errors.map { "swanctl.conf:" + $0 })
    }

    @Test(arguments: placeholders + names + lines + quotes + secrets + identities + features)
    func isRefused(_ row: Row) throws {
        #expect(try swanctlErrors(row.file.text).map(\.description) == row.errors)
    }

    private static let fill = "write the value in its place, or put it between quotes if it is meant so"
    private static let placeholders: [Row] = [
        row(.replacing("192.0.2.2", "{{ peer }}"), "4: '{{ peer }}': looks like a placeholder; \(fill)"),
        row(.replacing("192.0.2.2", "${PEER}"), "4: '${PEER}': looks like a placeholder; \(fill)"),
        row(
            .replacing("10.2.0.0/16", "10.{{ site }}.0.0/16"),
            "16: '{{ site }}': looks like a placeholder; \(fill)"),
        row(.replacing("\"0123456789abcdef\"", "${PSK}"), "23: the value looks like a placeholder; \(fill)"),
        row(
            .connection("{% if nat %}"),
            "5: '{% if nat %}': this looks like a template's placeholder; write the value in its place"),
    ]

    private static let names: [Row] = [
        row(
            .replacing("site {", "site.a {"),
            "2: 'site.a': dots are not allowed in the name of a section or key; write 'site-a'"),
        row(
            .secret("id-192.0.2.1 = l.example.org"),
            "24: dots are not allowed in the name of a section or key; write it with '-' in their place"),
        row(
            .replacing("connections {\n  site {", "connections site {"),
            "1: 'connections site': two names before '{'; write 'connections { site { … } }'"),
        row(
            .replacing("connections {", "config setup\nconnections {"),
            "1: 'config setup': this is the format of ipsec.conf, not of swanctl.conf; write 'connections { NAME { … } }' "
                + "with the keys of swanctl.conf(5)"),
        row(
            .replacing("connections {", "conn site\n  left=192.0.2.1\nconnections {"),
            "1: 'conn site': this is the format of ipsec.conf, not of swanctl.conf; write 'connections { NAME { … } }' "
                + "with the keys of swanctl.conf(5)"),
        row(
            .connection("revocation = strict"),
            "5: 'revocation': unknown key in 'site'; move it into the 'remote' section"),
        row(.connection("auth = psk"), "5: 'auth': unknown key in 'site'; move it into 'local' or 'remote'"),
        row(
            .top("conections {\n}"),
            "26: 'conections': unknown section, and none inherits from it; did you mean 'connections'?"),
        row(
            .top("start_action = trap"),
            "26: 'start_action': key outside any section; move it into a section, or remove it"),
    ]

    private static let lines: [Row] = [
        row(
            .replacing("auth = psk\n      id = l.example.org", "auth = psk; id = l.example.org"),
            "6: 'id =': ';' does not separate settings: this is a part of the value before it; write 'id = …' on a line of its own, "
                + "without the ';'"),
        row(
            .replacing("auth = psk\n", "auth = psk;\n"),
            "6: 'psk;': ';' does not end a setting and is a part of the value; leave it out: a setting ends with its line"
        ),
        row(
            .replacing("10.1.0.0/16\n        remote_ts", "10.1.0.0/16 remote_ts"),
            "15: 'remote_ts =': a setting ends with its line: this is a part of the value before it; write "
                + "'remote_ts = …' on a line of its own"),
        row(
            .replacing("id = l.example.org", "id = \"l.example.org\" certs=moon.pem"),
            "7: 'certs =': a setting ends with its line: this is a part of the value before it; write 'certs = …' on a "
                + "line of its own"),
        row(
            .replacing("192.0.2.2\n    local {", "192.0.2.2 local {"),
            "4: 'remote_addrs': unexpected '{' in the value; begin a section on a line of its own, and write a value that has "
                + "a '{' between quotes"),
    ]

    private static let quotes: [Row] = [
        row(
            .replacing("id = l.example.org", "id = \"l.example.org"),
            "7: 'id': a quote in the value that begins here is never closed; close it; write \\\" for a quote inside")
    ]

    private static let secrets: [Row] = [
        row(.secret("colour = blue"), "24: unknown key in 'ike-1'; use one of id, secret"),
        row(.secret("inner {\n}"), "24: unknown section in 'ike-1'; remove it"),
        row(
            .replacing("secret = \"0123456789abcdef\"", "id = l.example.org"),
            "22: the key 'secret' is missing in 'ike-1'; add secret = \"…\", 0x and hexadecimal digits, or 0s and base64"
        ),
    ]

    private static let words = "write a domain name, an e-mail address, a distinguished name, or keyid: and the text"
    private static let empty = "the identity is empty; write it between quotes if it has a \"#\""
    private static let identities: [Row] = [
        row(
            .replacing("r.example.org", "\"fqdn:^gw[0-9]+\\\\.example\\\\.org$\""),
            "11: 'fqdn:^gw[0-9]+\\.example\\.org$': \"fqdn:^gw[0-9]+\\.example\\.org$\" is a regular expression, and "
                + "identities are matched by wildcards only; write a name, or * for its first part as in *.example.org"),
        row(
            .replacing("r.example.org", "\"{2}:gw.example.org\""),
            "11: '{2}:gw.example.org': \"{2}:gw.example.org\" names its type by a number; write it as a word: fqdn, email, "
                + "keyid, asn1dn, ipv4 or ipv6, as in \"fqdn:gw.example.org\""),
        row(.replacing("r.example.org", "keyid:#0102"), "11: 'keyid:': \(empty)"),
        row(.replacing("r.example.org", "@#0102"), "11: '@': \(empty)"),
        row(.replacing("r.example.org", "\"fqdn:\""), "11: 'fqdn:': \(empty)"),
        row(
            .replacing("r.example.org", "uri:http://x"),
            "11: 'uri:http://x': \"uri:http://x\" is of a type that IKEv2 does not have (\"uri:\"); \(words)"),
        row(
            .replacing("r.example.org", "10.0.0.0/8"),
            "11: '10.0.0.0/8': \"10.0.0.0/8\" is a subnet, and an identity is one address; write \"%any\" or the address"
        ),
    ]

    /// What is not there is refused by name.
    private static let features: [Row] = [
        row(
            .connection("ocsp = request"),
            "5: 'ocsp': unsupported value 'request': only 'never' is supported; leave it out; revocation goes by CRLs in files"
        ),
        row(
            .child("icmp = yes"),
            "17: 'icmp': unsupported value 'yes': only 'no' is supported; leave it out; ICMP errors go by the selectors"
        ),
        row(
            .connection("pools = p").replacing("secrets {", "pools {\np {\naddrs = 10.3.0.0/24\n}\n}\nsecrets {"),
            "5: 'pools': not supported; leave it out; no addresses are assigned to peers yet"),
        row(
            .child("mode = pass\nmark_in = 5"),
            "18: 'mark_in': unsupported value '5': only '0' is supported; leave it out; select by address"),
    ]
}
