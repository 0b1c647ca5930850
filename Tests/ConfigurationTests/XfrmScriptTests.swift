import Configuration
import Cryptography
import IPsec
import Packets
import Testing

/// What scripts for Linux have that is not in the manual page's examples.
@Suite struct XfrmScriptTests {
    @Test(arguments: [
        "sudo ip xfrm", "ip -6 xfrm", "ip -n left xfrm", "ip -netns left xfrm", "ip netns exec left ip xfrm",
        "sudo ip netns exec left ip -4 xfrm", "sudo -E ip xfrm", "/sbin/ip xfrm", "ip -s -d xfrm",
    ])
    func wordsBeforeALine(_ prefix: String) throws {
        #expect(try state("\(statePrefix.replacing("xfrm", with: prefix)) \(gcm)").spi == 0x1000)
    }

    @Test func linesOfTwoNamespacesAreTwoGateways() throws {
        let text = """
            ip -n left \(statePrefix) \(gcm)
            ip netns exec right ip \(statePrefix) \(gcm)
            """
        let found = try errors(text)
        #expect(found.map(\.location.line) == [2])
        #expect(found[0].what.contains("namespace right") && found[0].what.contains("namespace left"))
    }

    /// Linux's default for `auth` is the 96 bits of an early draft.
    @Test(arguments: ["auth sha256", "auth hmac(sha256)", "auth-trunc hmac(sha256)"])
    func sha256CutTo96Bits(_ words: String) throws {
        let bits = words.hasPrefix("auth-trunc") ? " 96" : ""
        let text = "\(statePrefix) \(words) \(key(32))\(bits) enc aes \(key(16))"
        #expect(try state(text).transform.integrity == .hmacSHA256_96)
        #expect(try parse(text).warnings.contains { $0.what.contains("96 bits") && $0.remedy.contains("KEY 128") })
    }

    /// HMAC fills a short key up with zeros (RFC 2104 section 2).
    @Test(arguments: [(16, "hmac(sha256)", 128, 32), (20, "hmac(sha512)", 256, 64), (8, "hmac(sha1)", 96, 20)])
    func shortKeysAreFilledUp(_ count: Int, _ name: String, _ bits: Int, _ whole: Int) throws {
        let text = "\(statePrefix) auth-trunc \(name) \(key(count)) \(bits) enc cbc(aes) \(key(16))"
        let made = try state(text)
        let expected = key(16).dropFirst(2) + key(count).dropFirst(2) + String(repeating: "00", count: whole - count)
        #expect(SecretBytes(hexadecimal: expected).map { made.key == $0 } == true)
        #expect(try parse(text).warnings.contains { $0.what.contains("\(count) bytes, \(whole - count) fewer") })
    }

    @Test func aKeyOfNothingIsNone() throws {
        #expect(try errors("\(statePrefix) auth hmac(sha1) \"\" enc cbc(aes) \(key(16))").count == 1)
        #expect(
            try errors("\(statePrefix) auth hmac(sha1) \(key(21)) enc cbc(aes) \(key(16))")[0].what.contains(
                "at most 20"))
    }

    @Test(arguments: [1, 7, 255])
    func reservedSPIsWork(_ spi: Int) throws {
        let text = "\(statePrefix.replacing("0x1000", with: "\(spi)")) \(gcm)"
        #expect(try state(text).spi == SPI(UInt32(spi)))
        #expect(try parse(text).warnings.contains { $0.what.contains("reserved") })
    }

    @Test func portsWithoutAProtocol() throws {
        let policy = try #require(try parse("\(policyPrefix) dport 22").policies.first)
        #expect(policy.selector.protocol == nil && policy.selector.destinationPorts == 22...22)
        #expect(try errors("\(policyPrefix) proto gre dport 22").count == 1)
    }

    /// Without `dir fwd` nothing is handed on to hosts behind the gateway.
    @Test func inboundWithoutForwarding() throws {
        let inbound = "xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir in tmpl proto esp reqid 1 mode tunnel"
        func warnings(_ lines: String...) throws -> [String] {
            try parse(lines.joined(separator: "\n")).warnings.map(\.remedy).filter { $0.contains("dir fwd") }
        }
        #expect(try warnings(inbound).count == 1)
        #expect(try warnings(inbound, inbound.replacing("dir in", with: "dir fwd")).isEmpty)
        #expect(try warnings(inbound.replacing("10.1.0.0/16", with: "10.1.0.1")).isEmpty, "that is the gateway itself")
    }
}
