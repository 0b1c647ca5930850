import Configuration
import Testing

/// Each thing that cannot be served, with its line, its word and its remedy.
@Suite struct SwanctlErrorTests {
    @Test(
        arguments: [
            ("version = 1", "version", "IKEv1 is not supported"),
            ("vips = 0.0.0.0", "vips", "local_ts and remote_ts"), ("pools = p", "pools", "leave it out"),
            ("ppk_id = x", "ppk_id", "leave it out"), ("mediated_by = x", "mediated_by", "remote_addrs"),
            ("remote_adrs = 10.0.0.1", "remote_adrs", "did you mean 'remote_addrs'"),
            ("colour = blue", "colour", "see swanctl.conf(5)"), ("locl { }", "locl", "did you mean 'local'"),
            ("child { }", "child", "did you mean 'children'"), ("local_ts = 10.0.0.0/8", "local_ts", "of 'children'"),
            ("start_action = trap", "start_action", "move it into a section of 'children'"),
            ("auth = psk", "auth", "move it into 'local' or 'remote'"),

            ("proposals = aes128", "aes128", "-sha256"),
            ("proposals = aes256gcm16-prfsha384-ecp999", "aes256gcm16-prfsha384-ecp999", "ecp384"),
            ("local_addrs = 10.0.0.256", "10.0.0.256", "a host name, or %any"),
            ("local_addrs = a_b!", "a_b!", "a host name"),
            ("local_port = 0", "0", "from 1 to 65535"), ("local_port = 1500", "1500", "write 500, or 4500"),
            ("remote_port = 65536", "65536", "from 1 to 65535"), ("encap = maybe", "maybe", "encap = yes"),
            ("dpd_delay = 5x", "5x", "4h or 14400"), ("dpd_delay = -1", "-1", "4h or 14400"),
            ("dpd_delay = 99999999999999999999", "99999999999999999999", "at most"),
            ("rekey_time = 1 week", "1 week", "4h"),
            ("fragmentation = ye", "ye", "did you mean 'yes'"), ("unique = always", "always", "replace"),
            ("childless = maybe", "maybe", "allow, prefer, force or never"), ("send_cert = yes", "yes", "ifasked"),
            ("keyingtries = %forever", "%forever", "from 0"),
        ] as [(String, String?, String)])
    func connectionKeys(line: String, word: String?, remedy: String) throws {
        let errors = try swanctlErrors(sites(connection: line.replacing("{ ", with: "{\n")))
        #expect(errors.count == 1, "\(errors)")
        let error = try #require(errors.first)
        #expect(error.location.line == 4 && error.location.file == "swanctl.conf", "\(error)")
        #expect(error.word == word, "\(error)")
        #expect(error.remedy.contains(remedy) && !error.what.isEmpty, "\(error)")
    }

    @Test(
        arguments: [
            ("mode = transport", "transport", "write mode = tunnel"),
            ("mode = beet", "beet", "mode = tunnel"), ("mode = tunel", "tunel", "mode = tunnel"),
            ("ah_proposals = sha256", "ah_proposals", "use esp_proposals"),
            ("updown = /bin/true", "updown", "child-updown"),
            ("esp_proposals = 3des", "3des", "write \"aes256\" for \"3des\""),
            ("local_ts = 10.0.0.0/33", "10.0.0.0/33", "10.1.0.0/16[tcp/443]"),
            ("local_ts = lan", "lan", "dynamic[udp]"),
            ("local_ts = 10.0.0.0/8[tcp", "10.0.0.0/8[tcp", "write it as"),
            ("local_ts = 10.0.0.0/8[tpc]", "10.0.0.0/8[tpc]", "tcp, udp"),
            ("local_ts = 10.0.0.0/8[gre/5]", "10.0.0.0/8[gre/5]", "leave '/5' out"),
            ("local_ts = 10.0.0.0/8[tcp/70000]", "10.0.0.0/8[tcp/70000]", "from 0 to 65535"),
            ("local_ts = 10.0.0.0/8[tcp/9-8]", "10.0.0.0/8[tcp/9-8]", "from 0 to 65535"),
            ("local_ts = 10.0.0.0/8[256]", "10.0.0.0/8[256]", "from 0 to 255"),
            ("local_ts = 10.0.0.9-10.0.0.1", "10.0.0.9-10.0.0.1", "10.1.0.1-10.1.0.9"),
            ("start_action = begin", "begin", "none, trap, start"),
            ("dpd_action = hold", "hold", "clear, trap or restart"),
            ("rekey_bytes = 5t", "5t", "10g or"), ("rekey_packets = 5k", "5k", "1000000"),
            ("reqid = 4294967296", "4294967296", "to 4294967295"), ("replay_window = many", "many", "4294967295"),
            ("copy_dscp = maybe", "maybe", "copy_dscp = out"),
            ("policies = no", "policies", "leave it out"),
            ("tfc_padding = mtu", "tfc_padding", "not padded"),
            ("inactivity = 60", "inactivity", "idle children"), ("mark_in = 5", "mark_in", "select by address"),
            ("if_id_in = %unique", "if_id_in", "select by address"),
            ("interface = eth0", "interface", "--lan and --wan"),
            ("local_tss = 10.0.0.0/8", "local_tss", "did you mean 'local_ts'"),
            ("proposals = aes128-sha256-x25519", "proposals", "move it into the section of the connection"),
            ("inner { }", "inner", "remove it"),
        ] as [(String, String?, String)])
    func childKeys(line: String, word: String?, remedy: String) throws {
        let errors = try swanctlErrors(sites(child: line.replacing("{ ", with: "{\n")))
        #expect(errors.count == 1, "\(errors)")
        let error = try #require(errors.first)
        #expect(error.word == word, "\(error)")
        #expect(error.remedy.contains(remedy) && !error.what.isEmpty, "\(error)")
        #expect((13...15).contains(error.location.line), "\(error)")
    }

    @Test(arguments: [
        ("auth = eap-mschapv2", "eap-mschapv2", "EAP is for roaming users"), ("auth = xauth", "xauth", "use auth"),
        ("auth = pks", "pks", "did you mean 'psk'"), ("auth = ed44", "ed44", "did you mean 'ed448'"),
        ("auth = ecdsa-384", "ecdsa-384", "'remote' section"), ("auth = rsa-4096", "rsa-4096", "'remote' section"),
        ("auth = rsa-sha256-ike:rsa-sha512", "rsa-sha256-ike:rsa-sha512", "'remote' section"),
        ("auth = rsa-sha1", "rsa-sha1", "ike:rsa-sha1"), ("auth = ike:", "ike:", "use psk"),
        ("id = asn1dn:C=CH=X", "asn1dn:C=CH=X", "C=CH, O=Example"), ("eap_id = x", "eap_id", "EAP is not supported"),
        ("auth = pubkey\ncacerts = a.pem", "cacerts", "'remote' section"),
        ("revocation = strict", "revocation", "'remote' section"), ("certs = moon.pem", "moon.pem", "absolute path"),
        ("certs = /nonexistent/moon.pem", "/nonexistent/moon.pem", "x509"), ("groups = a", "groups", "auth, certs, id"),
        ("cert1 {\n handle = 5\n }", "handle", "name a file"), ("secret = x", "secret", "use one of auth"),
    ])
    func localKeys(lines: String, word: String, remedy: String) throws {
        let errors = try swanctlErrors(sites(local: lines))
        let error = try #require(errors.first { $0.word == word }, "\(errors)")
        #expect(error.remedy.contains(remedy) && !error.what.isEmpty, "\(error)")
    }

    @Test(arguments: [
        ("revocation = never", "never", "strict, ifuri or relaxed"), ("groups = a", "groups", "cacerts"),
        ("cert_policy = 1.2.3", "cert_policy", "cacerts"), ("ca_id = x", "ca_id", "cacerts"),
    ])
    func remoteKeys(lines: String, word: String, remedy: String) throws {
        let errors = try swanctlErrors(sites(remote: lines))
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.first?.word == word && errors.first?.remedy.contains(remedy) == true, "\(errors)")
    }

    /// `auth` of a peer that says nothing, or nothing that can be held.
    @Test(arguments: [
        ("pubkey-2048", "rsa-3072-ecdsa-256"), ("ed25519-256", "leave '256'"), ("ed448-sha512", "leave 'sha512'"),
        ("rsa-identity", "sha256, sha384 or sha512"), ("rsa-0", "1 to 16384"), ("rsa-16385", "1 to 16384"),
        ("ecdsa-522", "1 to 521"), ("ecdsa-99999999999999999999", "1 to 521"), ("rsa-2048-4096", "rsa-4096-sha384"),
        ("rsa-sha256-2048", "rsa-2048-sha384"), ("rsa-2048-rsa-4096", "write it once"),
        ("ike:ecdsa-ike:ecdsa-sha384", "write it once"), ("pubkey-sha256-rsa-3072", "leave out pubkey"),
        ("ike:pubkey-ike:ed25519", "leave out pubkey"), ("ecdsa-sha1", "leave 'sha1' out"),
        ("ike:rsa/pss-sha1", "leave 'sha1' out"),
        ("ecdsa-", "ecdsa-384-sha384"), ("384-ecdsa", "ecdsa-384-sha384"), ("sha384", "ecdsa-384-sha384"),
        ("edcsa-384", "did you mean 'ecdsa'"), ("ecdsa-ike:sha384", "ecdsa-384-sha384"),
    ])
    func demandsOnThePeer(text: String, remedy: String) throws {
        let errors = try swanctlErrors(sites(remote: "auth = \(text)"))
        #expect(errors.count == 1, "\(errors)")
        let error = try #require(errors.first)
        #expect(error.word == text && error.location.line == 9, "\(error)")
        #expect(error.remedy.contains(remedy) && !error.what.isEmpty, "\(error)")
    }

    @Test(
        arguments: [
            ("conections { }", "conections", "did you mean 'connections'"),
            ("encap = yes", "encap", "move it into a section"),
            ("connections { a = 1\n}", "a", "remove it"), ("authorities { a { }\n}", nil, "cacert = NAME"),
            ("authorities { a { cacert = a.pem\n}\n}", "a.pem", "absolute path"),
            ("authorities { a { crl_uris = http://x/y\ncacert = /nonexistent\n} }", "http://x/y", "x509crl"),
            ("authorities { a { crl_uris = file:y\ncacert = /nonexistent\n} }", "file:y", "file:/path"),
            ("authorities { a { ocsp_uris = http://x\ncacert = /nonexistent\n} }", "ocsp_uris", "CRLs in files"),
            ("authorities { a { handle = 5\n} }", "handle", "name a file"),
            ("secrets { ik { } }", "ik", "did you mean 'ike'"),
            ("secrets { ike1 { } }", nil, "0s and base64"),
            ("secrets { ike1 { secret = 0xabg\n} }", "secret", "between quotes"),
            ("secrets { ike1 { secret = 0sA\n} }", "secret", "between quotes"),
            ("secrets { ike1 { sercet = abc\n} }", "sercet", "did you mean 'secret'"),
            ("secrets { ike1 { secret = abc\nid = 10.0.0.0/8\n} }", "10.0.0.0/8", "%any"),
        ] as [(String, String?, String)])
    func otherSections(text: String, word: String?, remedy: String) throws {
        let errors = try swanctlErrors(text)
        let error = try #require(errors.first { $0.word == word }, "\(errors)")
        #expect(error.remedy.contains(remedy) && !error.what.isEmpty, "\(error)")
    }

    @Test func oneRoundOnEachSide() throws {
        let errors = try swanctlErrors(sites(connection: "local-2 {\n}\nremote-b {\n}"))
        #expect(errors.map(\.location.line) == [8, 11] && errors.map(\.word) == ["local", "remote"])
        #expect(errors.first?.remedy == "keep one 'local' section")
    }

    @Test func addressesOfDifferentFamilies() throws {
        let error = try swanctlErrors(sites(connection: "local_addrs = 2001:db8::1")).first
        #expect(error?.location.line == 3 && error?.remedy == "give both IPv4 or both IPv6 addresses")
    }

    @Test func startNeedsAPeer() throws {
        for address in ["%any", "10.0.0.0/8", "10.0.0.1-10.0.0.9"] {
            let text = sites(child: "start_action = trap").replacing("192.0.2.2", with: address)
            #expect(try swanctl(text).warnings.first?.remedy.contains("remote_addrs") == true)
        }
        let text = sites(child: "start_action = trap").replacing("192.0.2.2", with: "10.0.0.0/8, peer.example.org")
        #expect(try swanctl(text).warnings.isEmpty)
    }

    /// Kinds of secrets that nothing uses.
    @Test(arguments: [
        ("eap-x { secret = y\n}", "eap-x", "EAP is not supported"),
        ("token1 { pin = 5\n}", "token1", "folder 'private'"),
        ("xauth { }", "xauth", "XAuth"), ("ppk { }", "ppk", "remove it"), ("ntlm { }", "ntlm", "EAP"),
        ("pkcs12-a { }", "pkcs12-a", "openssl pkcs12"), ("private1 { secret = abc\n}", "private1", "file = NAME"),
        ("rsa1 { file = k.pem\nsecret = x\n}", "k.pem", "the passphrase is for"),
    ])
    func secretsWithoutUse(section: String, word: String, remedy: String) throws {
        let warnings = try swanctl("secrets {\n \(section)\n}").warnings
        #expect(warnings.map(\.word) == [word], "\(warnings)")
        #expect(warnings.first?.remedy.contains(remedy) == true, "\(warnings)")
    }

    @Test func selectorsOfDifferentFamilies() throws {
        let errors = try swanctlErrors(sites(child: "local_ts = 10.0.0.0/8\nremote_ts = 2001:db8::/32"))
        #expect(errors.first?.remedy == "give both IPv4 or both IPv6 networks")
        _ = try child("local_ts = 10.0.0.0/8\nremote_ts = dynamic")
        _ = try child("local_ts = 10.0.0.0/8\nremote_ts = 2001:db8::/32, 10.9.0.0/16")
    }

    @Test func allErrorsOfAFileInOrderAndOnce() throws {
        let text = """
            base {
              encap = maybe
            }
            connections {
              a : base { version = 1
              }
              b : base {
                children {
                  c { mode = beet
                    colour = blue
                  }
                }
              }
            }
            """
        let errors = try swanctlErrors(text)
        #expect(errors.map(\.location.line) == [2, 5, 9, 10])
        #expect(
            errors[2].description
                == "swanctl.conf:9: 'beet': unsupported mode: only tunnel, pass and drop are supported; write mode = tunnel, or leave it out; "
                + "the peer has to use tunnel mode too")
    }
}
