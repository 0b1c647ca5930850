import Configuration
import Testing

/// What swanctl.conf(5) allows is accepted, with strongSwan's meaning: one small input for each thing, what the plan then
/// says, and every warning.
@Suite struct AcceptedFilesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var file: SiteFile
        /// Parts of the plan.
        var plan: [String]
        var warnings: [String]
        var testDescription: String { file.title }
    }

    private static func row(_ file: SiteFile, _ plan: [String] = [], warnings: [String] = []) -> Row {
        Row(file: file, plan: plan, warnings: warnings)
    }

    @Test(arguments: actions + peers + keys + selectors + limits + otherSections + identities + shunts)
    func isAccepted(_ row: Row) throws {
        let configuration = try swanctl(row.file.text)
        for part in row.plan {
            #expect(configuration.description.contains(part), "\(part) is missing in: \(configuration)")
        }
        #expect(configuration.warnings.map(\.description) == row.warnings)
    }

    /// One set of words for three keys.
    private static let actions: [Row] = [
        row(.child("close_action = restart"), ["when closed: start,"]),
        row(.child("close_action = clear"), ["when closed: none,"]),
        row(.child("close_action = route"), ["when closed: trap,"]),
        row(.child("close_action = trap | start"), ["when closed: trap|start,"]),
        row(.child("dpd_action = start"), ["when the peer is dead: restart"]),
        row(.child("dpd_action = route"), ["when the peer is dead: trap"]),
        row(.child("dpd_action = none"), ["when the peer is dead: clear"]),
        row(.child("dpd_action = trap|start"), ["when the peer is dead: trap|restart"]),
        row(.child("start_action = route"), ["at start: trap,"]),
        row(.child("start_action = restart"), ["at start: start,"]),
        row(.child("start_action = clear"), ["at start: none,"]),
        row(.child("start_action = start|trap"), ["at start: trap|start,"]),
        row(.child("start_action = trap | start"), ["at start: trap|start,"]),
    ]

    private static let peers: [Row] = [
        row(
            .replacing("192.0.2.2", "%any").child("start_action = trap"),
            ["192.0.2.1 -> any address", "at start: none,"],
            warnings: [
                "swanctl.conf:17: warning: 'trap': start_action needs a peer, and remote_addrs names none: the child "
                    + "waits for peers; give the peer's address or name in remote_addrs, or leave start_action out"
            ]),
        row(
            .replacing("192.0.2.2", "192.0.2.2, %any").child("start_action = trap"),
            ["192.0.2.1 -> 192.0.2.2, 0.0.0.0/0, ::/0", "at start: trap,"]),
        row(.replacing("192.0.2.2", "192.0.2.2, %any"), ["192.0.2.1 -> 192.0.2.2, 0.0.0.0/0, ::/0"]),
        row(.replacing("192.0.2.1", "192.0.2.1, %any"), ["192.0.2.1, 0.0.0.0/0, ::/0 -> 192.0.2.2"]),
        row(.replacing("192.0.2.2", "192.0.2.2, %any4, %any"), ["-> 192.0.2.2, 0.0.0.0/0, ::/0"]),
        row(.replacing("192.0.2.2", "%any, 192.0.2.2"), ["192.0.2.1 -> any address"]),
        row(.connection("remote_port = 4500"), ["ports 500 -> 4500"]),
    ]

    private static let keys: [Row] = [
        row(
            .connection("aggressive = yes"),
            warnings: [
                "swanctl.conf:5: warning: 'aggressive': has no effect: IKEv2 has no aggressive mode; leave it out"
            ]),
        row(
            .connection("pull = no"),
            warnings: ["swanctl.conf:5: warning: 'pull': has no effect with IKEv2; leave it out"]),
        row(.connection("ocsp = never")),
        row(.connection("ocsp = reply")),
        row(.child("icmp = no")),
        row(.child("policies_fwd_out = yes")),
        row(.child("hostaccess = yes")),
        row(
            .child("hw_offload = packet"),
            warnings: [
                "swanctl.conf:17: warning: 'hw_offload': has no effect: packets are encrypted in software; leave it out"
            ]),
        row(.child("hw_offload = auto")),
        row(
            .connection("dscp = 101110"),
            warnings: ["swanctl.conf:5: warning: 'dscp': has no effect: IKE packets carry no DSCP; leave it out"]),
        row(
            .child("ipcomp = yes"),
            warnings: ["swanctl.conf:17: warning: 'ipcomp': has no effect: packets are not compressed; leave it out"]),
        row(
            .child("per_cpu_sas = yes"),
            warnings: [
                "swanctl.conf:17: warning: 'per_cpu_sas': has no effect: one CHILD_SA is negotiated; leave it out"
            ]),
        row(
            .child("copy_dscp = yes"),
            warnings: [
                "swanctl.conf:17: warning: 'yes': the DSCP of received packets stays as it is inside the tunnel; write "
                    + "copy_dscp = out, which this now means"
            ]),
        row(
            .child("copy_dscp = in"),
            warnings: [
                "swanctl.conf:17: warning: 'in': the DSCP of received packets stays as it is inside the tunnel; write "
                    + "copy_dscp = no, which this now means"
            ]),
        row(.remote("revocation = relaxed")),
        row(
            .remote("revocation = strict"),
            warnings: [
                "swanctl.conf:12: warning: 'revocation': has no effect: it is for certificates and public keys, and auth is "
                    + "psk; remove it, or write auth = pubkey"
            ]),
        row(
            .remote("cacerts = ca.pem"),
            warnings: [
                "swanctl.conf:12: warning: 'cacerts': has no effect: it is for certificates and public keys, and auth is "
                    + "psk; remove it, or write auth = pubkey"
            ]),
        row(
            .local("certs = moon.pem"),
            warnings: [
                "swanctl.conf:8: warning: 'certs': has no effect: it is for certificates and public keys, and auth is psk; "
                    + "remove it, or write auth = pubkey"
            ]),
        row(
            .remote("cert1 {\nfile = sun.pem\n}"),
            warnings: [
                "swanctl.conf:12: warning: 'cert1': has no effect: it is for certificates, and auth is psk; remove it, or "
                    + "write auth = pubkey"
            ]),
        row(
            .replacing("local {", "Local {").replacing("remote {", "Remote-1 {").replacing("children", "Children"),
            ["we are 'l.example.org', by pre-shared key", "the peer is 'r.example.org'", "net: 10.1.0.0/16"]),
    ]

    private static let selectors: [Row] = [
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[icmp/8]"), ["10.1.0.0/16[1/2048] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[icmp/8-10]"), ["10.1.0.0/16[1/2048-2560] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[ipv6-icmp/135]"), ["10.1.0.0/16[58/34560] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[tcp/any]"), ["10.1.0.0/16[6] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[TCP/Opaque]"), ["10.1.0.0/16[6/opaque] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[any/53]"), ["10.1.0.0/16[/53] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[vrrp]"), ["10.1.0.0/16[112] ->"]),
        row(.replacing("10.1.0.0/16", "10.1.0.0/16[tcp/rsync]"), ["10.1.0.0/16[6/873] ->"]),
        row(.replacing("10.1.0.0/16", "Dynamic[gre]"), ["dynamic[47] ->"]),
    ]

    private static let limits: [Row] = [
        row(.connection("reauth_time = 0"), ["rekey after 14400 s"]),
        row(.child("life_time = 0"), ["rekey after 3600 s"]),
        row(.child("rekey_time = 15\nlife_time = 30"), ["rekey after 15 s (up to 7 earlier), close after 30 s"]),
        row(
            .child("rekey_time = 2h\nlife_time = 1h"), ["rekey after 7200 s (up to 0 earlier), close after 3600 s"],
            warnings: [
                "swanctl.conf:18: warning: life_time (3600) comes before rekey_time (7200): the CHILD_SA is closed, and "
                    + "never rekeyed; give more for life_time, or leave it out"
            ]),
        row(
            .child("rekey_bytes = 10\nlife_bytes = 5"), ["close after 5 bytes"],
            warnings: [
                "swanctl.conf:18: warning: life_bytes (5) comes before rekey_bytes (10): the CHILD_SA is closed, and never "
                    + "rekeyed; give more for life_bytes, or leave it out"
            ]),
        row(
            .child("rand_time = 2h"), ["rekey after 3600 s (up to 3600 earlier)"],
            warnings: [
                "swanctl.conf:17: warning: rand_time (7200) is more than rekey_time (3600), which it is taken from, so that "
                    + "a new key may be due at once; give at most half of 3600 for rand_time"
            ]),
        row(
            .connection("rand_time = 5h"), ["rekey after 14400 s, up to 14400 s earlier"],
            warnings: [
                "swanctl.conf:5: warning: rand_time (18000) is more than the time that it is taken from (14400), so that a "
                    + "new key may be due at once; give at most half of 14400 for rand_time"
            ]),
        row(
            .child("replay_window = 16"), ["replay window 32"],
            warnings: [
                "swanctl.conf:17: warning: '16': a replay window is 32 to 65536 packets, or 0 for none: it becomes 32; "
                    + "write replay_window = 32"
            ]),
        row(
            .child("replay_window = 100000"), ["replay window 65536"],
            warnings: [
                "swanctl.conf:17: warning: '100000': a replay window is 32 to 65536 packets, or 0 for none: it becomes "
                    + "65536; write replay_window = 65536"
            ]),
        row(.child("replay_window = 0"), ["no replay check"]),
        row(.child(""), ["replay window 1024"]),
    ]

    private static let otherSections: [Row] = [
        row(
            .secrets("eap-x {\nid = x\nsecret = y\n}"), ["pre-shared key ike-1"],
            warnings: [
                "swanctl.conf:25: warning: 'eap-x': this kind of secret is not supported, and not used; remove it; EAP is "
                    + "not supported, use auth = pubkey or auth = psk with an 'ike' secret"
            ]),
        row(
            .top("pools {\np {\naddrs = 10.3.0.0/24\n}\n}"),
            warnings: [
                "swanctl.conf:27: warning: 'p': has no effect: pools of virtual addresses are not supported; remove it, and "
                    + "name the networks of both sites with local_ts and remote_ts"
            ]),
        row(
            .top("conn-defaults {\nencap = yes\n}"),
            warnings: [
                "swanctl.conf:26: warning: 'conn-defaults': has no effect: unknown section, and none inherits from it; use "
                    + "connections, secrets or authorities; to inherit from it write 'NAME : conn-defaults { … }'"
            ]),
        row(
            .top("charon_debug = 2"),
            warnings: [
                "swanctl.conf:26: warning: 'charon_debug': has no effect: key outside any section; move it into a "
                    + "section, or remove it"
            ]),
        row(
            .replacing("\"0123456789abcdef\"", "\"{{ site_to_site_key }}\""),
            warnings: [
                "swanctl.conf:23: warning: the value looks like an unfilled placeholder; write the value in its "
                    + "place"
            ]),
        row(
            .replacing("id = r.example.org", "id = \"${PEER_ID}\""), ["the peer is '${PEER_ID}'"],
            warnings: [
                "swanctl.conf:11: warning: 'id': the value looks like an unfilled placeholder; write the value "
                    + "in its place"
            ]),
        row(.replacing("\"0123456789abcdef\"", "0x00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f")),
        row(.replacing("\"0123456789abcdef\"", "0x102030405060708090a0b0c0d0e0f10")),
        row(
            .secrets("private-1 {\nid = x\nfile = key.pem\nsecret-a = a\nsecret-b = b\n}"),
            warnings: [
                "swanctl.conf:26: warning: 'id': unknown key in 'private-1', which is not used; remove it; a passphrase has "
                    + "'file' and 'secret' only",
                "swanctl.conf:27: warning: 'key.pem': no such file in the folder 'private'; name the key file that "
                    + "the passphrase is for, or remove the section",
            ]),
    ]

    private static let identities: [Row] = [
        row(
            .replacing("r.example.org", "\"group=a\""), ["the peer is 'keyid:group=a'"],
            warnings: [
                "swanctl.conf:11: warning: 'group=a': not a distinguished name: it stands for a key ID of this text; "
                    + "write it like \"C=CH, O=Example, CN=moon\", or with keyid: in front"
            ]),
        row(.replacing("r.example.org", "0::0"), ["the peer is anybody"]),
        row(.replacing("r.example.org", "\"keyid:#102\""), ["the peer is 'keyid:0x0102'"]),
        row(
            .replacing("r.example.org", "r.example.org# the peer"), ["the peer is 'r.example.org'"],
            warnings: [
                "swanctl.conf:11: warning: 'id': the value ends before a '#' or '}' that touches it; write the value between "
                    + "quotes if the character is part of it"
            ]),
    ]

    /// As firewalls write them beside their tunnels: in a connection that leads nowhere, or in that of the peer.
    private static let shunts: [Row] = [
        row(
            .top(
                "connections {\nbypass {\nremote_addrs = 127.0.0.1\nchildren {\nlan {\nlocal_ts = 10.1.0.0/16\n"
                    + "remote_ts = 10.1.0.0/16\nmode = pass\nstart_action = trap\n}\n}\n}\n}"),
            ["bypass: not negotiated\n    lan: 10.1.0.0/16 -> 10.1.0.0/16, pass, not negotiated"]),
        row(
            .top(
                "connections {\npass {\nchildren {\nlan {\nlocal_ts = 10.1.0.0/16,10.3.0.0/16\nremote_ts = 10.4.0.0/16\n"
                    + "mode = pass\nstart_action = start\nesp_proposals = rot13\n}\n}\n}\n}"),
            ["lan: 10.1.0.0/16, 10.3.0.0/16 -> 10.4.0.0/16, pass, not negotiated"]),
        row(
            .replacing(
                "children {",
                "children {\nthrough {\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.1.0.0/16\nstart_action = trap\nmode = pass\n}"
            ),
            [
                "through: 10.1.0.0/16 -> 10.1.0.0/16, pass, not negotiated",
                "net: 10.1.0.0/16 -> 10.2.0.0/16, tunnel mode",
            ]),
        row(
            .child("mode = drop\nupdown = /usr/local/bin/updown\nstart_action = trap"),
            ["net: 10.1.0.0/16 -> 10.2.0.0/16, drop, not negotiated"],
            warnings: [
                "swanctl.conf:18: warning: 'updown': has no effect where mode is pass or drop; leave it out"
            ]),
    ]
}
