import Configuration
import Testing

/// Each thing that cannot be served, with its word and its remedy.
@Suite struct XfrmErrorTests {
    @Test(arguments: [
        ("mode transport", "transport", "use 'mode tunnel'"),
        ("mode beet", "beet", "use 'mode tunnel'"),
        ("proto ah", "ah", "use 'proto esp'"),
        ("proto comp", "comp", "use 'proto esp'"),
        ("spi 0", "0", "from 1"),
        ("spi 0x100000000", "0x100000000", "to 4294967295"),
        ("spi", "spi", "after the word"),
        ("spi ten", "ten", "give a number"),
        ("reqid -1", "-1", "give a number"),
        ("src gateway.example", "gateway.example", "names are not looked up"),
        ("dst 10.0.0.256", "10.0.0.256", "write it as"),
        ("dst 2001:db8::1", "add", "two IPv4 or two IPv6"),
        ("replay-window 8", "replay-window", "32 to 65536"),
        ("replay-window 65537", "65537", "to 65536"),
        ("flag esn", "esn", "replay-window 1024"),
        ("flag esn replay-window 0", "esn", "replay-window 1024"),
        ("replay-seq-hi 1", "replay-seq-hi", "flag esn"),
        ("flag decap-dscp", "decap-dscp", "leave it out"),
        ("flag wildrecv", "wildrecv", "exact 'dst'"),
        ("flag icmp", "icmp", "leave it out"),
        ("flag fast", "fast", "use one of af-unspec"),
        ("flag", "flag", "use one of"),
        ("extra-flag oseq-may-wrap", "oseq-may-wrap", "flag esn"),
        ("encap espintcp 4500 4500 0.0.0.0", "espintcp", "encap espinudp"),
        ("encap espinudp-nonike 4500 4500 0.0.0.0", "espinudp-nonike", "encap espinudp"),
        ("encap espinudp 0 4500 0.0.0.0", "0", "from 1 to 65535"),
        ("encap espinudp 4500 4500", "encap", "after the word"),
        ("sel src 10.0.0.0/8 dst ::/0", "sel", "two IPv4 or two IPv6"),
        ("sel src 10.0.0.0/33", "10.0.0.0/33", "write it as"),
        ("sel dev eth0", "dev", "select by address"),
        ("sel proto gre key 1", "key", "proto gre"),
        ("sel proto icmp dport 80", "dport", "add 'proto tcp'"),
        ("sel proto tcp type 8", "type", "proto icmp"),
        ("sel proto icmp code 1", "code", "add 'type"),
        ("sel proto icmp type 256", "256", "to 255"),
        ("sel proto nonsense", "nonsense", "a number from 0 to 255"),
        ("limit byte-hard 0", "0", "from 1"),
        ("limit bytes 5", "bytes", "byte-hard"),
        ("limit byte-hard 1k", "1k", "give a number"),
        ("limit", "limit", "after the word"),
        ("mark 1", "mark", "leave it out"),
        ("mark 0x1 mask 0xff", "mark", "leave it out"),
        ("if_id 5", "if_id", "leave it out"),
        ("output-mark 5", "output-mark", "leave it out"),
        ("tfcpad 1400", "tfcpad", "leave it out"),
        ("coa 10.0.0.1", "coa", "leave it out"),
        ("ctx context", "ctx", "leave it out"),
        ("comp deflate", "comp", "leave it out"),
        ("offload dev eth0 dir in", "offload", "leave it out"),
        ("reqid 2 colour blue", "colour", "ip-xfrm(8)"),
    ])
    func stateWords(text: String, word: String, remedy: String) throws {
        let errors = try errors("# a comment\n\(statePrefix) \(gcm) \(text)")
        #expect(errors.count == 1)
        let error = try #require(errors.first)
        #expect(error.location.line == 2 && error.location.file == "lab.xfrm")
        #expect(error.word == word)
        #expect(error.remedy.contains(remedy), "\(error)")
        #expect(!error.what.isEmpty)
    }

    @Test(arguments: [
        ("src 192.0.2.1 ", "'src' is missing"), ("dst 192.0.2.2 ", "'dst' is missing"),
        ("spi 0x1000 ", "'spi' is missing"), ("proto esp ", "'proto' is missing"),
        (" mode tunnel", "'mode' is missing"),
    ])
    func missing(part: String, reason: String) throws {
        let errors = try errors("\(statePrefix.replacing(part, with: "")) \(gcm)")
        #expect(errors.map(\.what) == [reason])
        #expect(errors.first?.word == "add")
    }

    @Test(arguments: [
        ("", "add", "without an integrity", "RFC 8221"),
        ("enc cbc(aes) \(key(16))", "enc", "without an integrity", "auth-trunc"),
        ("auth hmac(sha512) \(key(64))", "auth", "encryption algorithm is missing", "cipher_null"),
        ("auth-trunc hmac(sha256) \(key(32)) 160 enc aes \(key(16))", "auth-trunc", "only 128 or 96 bits", "KEY 128"),
        ("auth-trunc hmac(sha512) \(key(64)) 128 enc aes \(key(16))", "auth-trunc", "only 256 bits", "KEY 256"),
        ("auth-trunc hmac(sha256) \(key(33)) 128 enc aes \(key(16))", "auth-trunc", "at most 32 bytes, got 33", "0x"),
        ("auth hmac(sha512) \(key(64)) enc cbc(aes) \(key(20))", "enc", "16, 24, 32 bytes, got 20", "0x"),
        (
            "auth hmac(sha512) \(key(64)) enc rfc3686(ctr(aes)) \(key(16))", "enc",
            "20, 28, 36 bytes (of which the last 4 are the nonce), got 16", "0x"
        ),
        ("auth hmac(sha512) \(key(64)) enc cipher_null \(key(1))", "enc", "0 bytes, got 1", "0x"),
        (
            "aead rfc4106(gcm(aes)) \(key(16)) 128", "aead",
            "20, 28, 36 bytes (of which the last 4 are the salt), got 16", "0x"
        ),
        ("aead rfc7539esp(chacha20,poly1305) \(key(32)) 128", "aead", "36 bytes", "0x"),
        ("aead rfc4106(gcm(aes)) \(key(20)) 32", "aead", "no ICV of 32 bits", "64, 96, 128"),
        ("aead rfc4543(gcm(aes)) \(key(20)) 96", "aead", "no ICV of 96 bits", "use 128"),
        ("aead rfc4309(ccm(aes)) \(key(19)) 128", "rfc4309(ccm(aes))", "not supported", "rfc4106(gcm(aes))"),
        ("enc cbc(des3_ede) \(key(24)) auth hmac(sha512) \(key(64))", "cbc(des3_ede)", "not supported", "cbc(aes)"),
        ("auth hmac(md5) \(key(16)) enc aes \(key(16))", "hmac(md5)", "not supported", "hmac(sha256)"),
        ("\(gcm) enc cbc(aes) \(key(16))", "enc", "encrypts and authenticates", "remove"),
        ("\(gcm) \(gcm)", "aead", "given twice", "keep one"),
        ("aead", "aead", "algorithm name is missing", "after the word"),
        ("aead rfc4106(gcm(aes))", "aead", "a key is missing", "after the word"),
        ("aead rfc4106(gcm(aes)) \(key(20))", "aead", "ICV length in bits is missing", "after the word"),
        ("aead rfc4106(gcm(aes)) 0xzz 128", "aead", "not a hexadecimal digit", "0-9, a-f"),
    ])
    func algorithms(text: String, word: String, reason: String, remedy: String) throws {
        let errors = try errors("\(statePrefix) \(text)")
        #expect(errors.count == 1)
        let error = try #require(errors.first)
        #expect(error.word == word)
        #expect(error.what.contains(reason), "\(error)")
        #expect(error.remedy.contains(remedy), "\(error)")
    }

    @Test(arguments: [
        ("dir sideways", "sideways", "in, out or fwd"), ("action drop", "drop", "allow or block"),
        ("ptype sub", "sub", "ptype main"), ("flag icmp", "icmp", "leave it out"), ("ctx a", "ctx", "leave it out"),
        ("mark 3 mask 3", "mark", "leave it out"), ("if_id 1", "if_id", "leave it out"), ("dev eth0", "dev", "address"),
        ("limit byte-soft 4", "limit", "limits to the states"), ("priority high", "high", "give a number"),
        ("tmpl proto ah mode tunnel", "ah", "proto esp"), ("tmpl proto comp mode tunnel", "comp", "proto esp"),
        ("tmpl mode tunnel", "tmpl", "add 'proto esp'"), ("tmpl proto esp", "tmpl", "add 'mode tunnel'"),
        ("tmpl proto esp mode transport", "transport", "use 'mode tunnel'"),
        ("tmpl proto esp mode tunnel level use", "use", "level required"),
        ("tmpl proto esp mode tunnel tmpl proto esp mode tunnel", "tmpl", "in one template"),
        ("tmpl src 10.0.0.1 dst ::1 proto esp mode tunnel", "tmpl", "two IPv4 or two IPv6"),
        ("proto gre sport 5", "sport", "add 'proto tcp'"), ("nonsense", "nonsense", "ip-xfrm(8)"),
    ])
    func policyWords(text: String, word: String, remedy: String) throws {
        let errors = try errors("\(policyPrefix) \(text)")
        #expect(errors.count == 1)
        #expect(errors.first?.word == word)
        #expect(errors.first?.remedy.contains(remedy) == true, "\(errors)")
    }

    @Test(
        arguments: [
            ("route add default", "route", "expected 'xfrm'"), ("xfrm", nil, "where 'state' or 'policy'"),
            ("xfrm monitor", "monitor", "'state' or 'policy'"),
            ("xfrm state delete", "delete", "'add', 'update' or 'flush'"),
            ("xfrm state flush proto esp", "proto", "takes nothing more"), ("xfrm s a", "s", "'state' or 'policy'"),
            ("xfrm policy add src 10.0.0.0/8", "add", "'dir' is missing"),
            ("xfrm state add 'open", nil, "never closed"), ("xfrm state add 'a # b'", nil, "'#' between quotes"),
        ] as [(String, String?, String)])
    func commands(text: String, word: String?, reason: String) throws {
        let errors = try errors(text)
        #expect(errors.count == 1)
        #expect(errors.first?.word == word)
        #expect(errors.first?.what.contains(reason) == true, "\(errors)")
    }

    @Test func allErrorsOfAFileInOrder() throws {
        let text = """
            \(statePrefix) mode transport reqid x \(gcm)
            \(policyPrefix) action drop ptype sub
            nonsense
            \(statePrefix) \(gcm)
            \(statePrefix) \(gcm)
            """
        let errors = try errors(text)
        #expect(errors.map(\.location.line) == [1, 1, 2, 2, 3, 5])
        #expect(errors.map(\.word) == ["transport", "x", "drop", "sub", "nonsense", "add"])
        #expect(errors.last?.what.contains("from line 4") == true)
        #expect(
            errors[4].description
                == "lab.xfrm:3: 'nonsense': expected 'xfrm'; begin with 'xfrm state' or 'xfrm policy'")
    }

    @Test func duplicatePolicy() throws {
        #expect(try errors("\(policyPrefix)\n\(policyPrefix) priority 7").first?.what.contains("from line 1") == true)
    }

    @Test func unreadableFile() {
        #expect(throws: ConfigurationErrors.self) { try XfrmBatch.load(path: "/nonexistent/lab.xfrm") }
    }
}
