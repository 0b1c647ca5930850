import Configuration
import Foundation
import Testing

/// Warnings across lines, and the report of `sluice check`.
@Suite struct XfrmCheckTests {
    private static let protected = "\(policyPrefix) tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel"
    private static let cbc = "enc cbc(aes) \(key(16)) auth-trunc hmac(sha256) \(key(32)) 128"

    private func warnings(_ text: String) throws -> [String] { try parse(text).warnings.map(\.description) }

    @Test func nothingToWarnOf() throws {
        #expect(try warnings("\(statePrefix) \(Self.cbc)\n\(Self.protected)") == [])
    }

    @Test(arguments: [
        ("\(statePrefix) \(gcm)", 1, "RFC 4106 section 2"),
        ("\(statePrefix) aead rfc7539esp(chacha20,poly1305) \(key(36)) 128", 1, "comes twice"),
        ("\(statePrefix) enc rfc3686(ctr(aes)) \(key(20)) auth hmac(sha512) \(key(64))", 1, "RFC 3686"),
        ("\(statePrefix) \(cbc) replay-window 64", 1, "begins at 1 again"),
        ("\(statePrefix) \(cbc) limit byte-soft 10 limit byte-hard 10", 1, "byte-soft is not below"),
        ("# nothing", 1, "nothing in the file"),
        ("\(statePrefix) \(cbc)\n\(protected.replacing("reqid 1", with: "reqid 2"))", 1, "no policy in this file uses"),
        ("\n\(protected)", 2, "no state in this file serves"),
        (
            "\(statePrefix) \(cbc)\n\(protected)\n\(policyPrefix.replacing("10.2.0.0/16", with: "10.2.1.0/24"))", 3,
            "those of line 2"
        ),
    ])
    func warning(text: String, line: Int, reason: String) throws {
        let warnings = try warnings(text)
        #expect(warnings.contains { $0.hasPrefix("lab.xfrm:\(line): warning: ") && $0.contains(reason) }, "\(warnings)")
    }

    @Test func equalPriorityMattersOnlyWherePacketsAreShared() throws {
        let other = policyPrefix.replacing("10.2.0.0/16", with: "10.3.0.0/16")
        let inner = policyPrefix.replacing("10.2.0.0/16", with: "10.2.1.0/24")
        #expect(try warnings("\(statePrefix) \(Self.cbc)\n\(Self.protected)\n\(other)") == [])
        #expect(try warnings("\(statePrefix) \(Self.cbc)\n\(Self.protected)\n\(inner) priority 1") == [])
        #expect(
            try warnings("\(statePrefix) \(Self.cbc)\n\(Self.protected)\n\(inner.replacing("out", with: "fwd"))") == [])
    }

    @Test func templateSPI() throws {
        let policy = Self.protected.replacing("reqid 1", with: "spi 0x1000 reqid 1")
        #expect(try warnings("\(statePrefix) \(Self.cbc)\n\(policy)") == [])
        let both =
            "\(statePrefix) \(Self.cbc)\n\(statePrefix.replacing("0x1000", with: "0x1001")) \(Self.cbc)\n\(policy)"
        #expect(try errors(both).map(\.word) == ["spi"])
    }

    private static func state(_ spi: Int, _ algorithms: String, reverse: Bool = false) -> String {
        let (source, destination) = reverse ? ("192.0.2.2", "192.0.2.1") : ("192.0.2.1", "192.0.2.2")
        return "xfrm state add src \(source) dst \(destination) proto esp spi \(spi) reqid 1 mode tunnel \(algorithms)"
    }

    /// One key under two counters of initialisation vectors, whatever else differs.
    @Test(arguments: [
        (gcm, gcm), (gcm, gcm.replacing(" 128", with: " 64")),
        (gcm, gcm.replacing("rfc4106", with: "rfc4543")),
        ("aead rfc7539esp(chacha20,poly1305) \(key(36)) 128", "aead rfc7539esp(chacha20,poly1305) \(key(36)) 128"),
        (
            "enc rfc3686(ctr(aes)) \(key(20)) auth-trunc hmac(sha256) \(key(32)) 128",
            "enc rfc3686(ctr(aes)) \(key(20)) auth-trunc hmac(sha512) \(key(64)) 256"
        ),
        (
            "aead rfc4106(gcm(aes)) \(key(20)) 128",
            "enc rfc3686(ctr(aes)) \(key(20)) auth-trunc hmac(sha256) \(key(32)) 128"
        ),
    ])
    func oneKeyInTwoStates(one: String, other: String) throws {
        for isReverse in [false, true] {
            let text = "\(Self.state(4096, one))\n\n\(Self.state(4097, other, reverse: isReverse))"
            let errors = try errors(text)
            #expect(errors.count == 1 && errors.first?.location.line == 3)
            let message = "\(errors)"
            #expect(message.contains("that of the state in line 1") && message.contains("RFC 4106 section 2"))
            #expect(!message.contains("a0a1") && !message.contains("0001"))
        }
    }

    /// Other keys or salts, modes whose vectors do not count, and a state that takes the place of another.
    @Test(arguments: [
        state(4096, gcm) + "\n" + state(4097, gcm.replacing("1213 ", with: "1214 "), reverse: true),
        state(4096, gcm) + "\n" + state(4097, gcm.replacing("0x00", with: "0x01")),
        state(4096, cbc) + "\n" + state(4097, cbc, reverse: true),
        state(4096, "enc ecb(cipher_null) \"\" auth-trunc hmac(sha256) \(key(32)) 128") + "\n"
            + state(4097, "enc ecb(cipher_null) \"\" auth-trunc hmac(sha256) \(key(32)) 128"),
        state(4096, gcm) + "\n" + state(4096, gcm).replacing("add", with: "update"),
        state(4096, gcm) + "\nxfrm state flush\n" + state(4097, gcm),
    ])
    func keysThatDoNotMeet(text: String) throws {
        #expect(try parse(text).states.isEmpty == false)
    }

    @Test func thousandsOfKeysAreCompared() throws {
        let lines = (0..<5000).map { number in
            let digits = String(number, radix: 16)
            let unique = String(repeating: "0", count: 8 - digits.count) + digits
            return Self.state(4096 + number, gcm.replacing("0x00010203", with: "0x" + unique))
        }
        #expect(try parse(lines.joined(separator: "\n")).states.count == 5000)
        let last = Self.state(20_000, gcm.replacing("0x00010203", with: "0x00000800"))
        let errors = try errors((lines + [last]).joined(separator: "\n"))
        #expect(errors.map(\.location.line) == [5001] && "\(errors)".contains("line 2049"))
    }

    @Test func report() throws {
        let configuration = try parse(
            "\(statePrefix) \(Self.cbc) replay-window 64 flag esn noecn encap espinudp 4500 4501 0.0.0.0 "
                + "sel dst 10.2.0.0/16 limit byte-hard 5\n\(Self.protected) priority 7 index 3\n")
        let expected = """
            1 state
              192.0.2.1 -> 192.0.2.2 esp spi 0x00001000 reqid 1 tunnel mode, aes128-sha256
                replay window 64, 64-bit sequence numbers, in UDP 4500 -> 4501, no ECN
                only 0.0.0.0/0 -> 10.2.0.0/16
                limits: hard 5 bytes
            1 policy
              out 10.1.0.0/16 -> 10.2.0.0/16 protect reqid 1 192.0.2.1 -> 192.0.2.2 priority 7 index 3
            1 warning
              lab.xfrm:1: warning: 'add': replay protection with a manual key: when the sender restarts, its sequence \
            begins at 1 again; restart both sides together, or use 'replay-window 0' (RFC 4303 section 5)
            """
        #expect(configuration.description == expected)
    }

    @Test func fileIsReadWhole() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID()).xfrm").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let lines = (0..<500).map { "\(statePrefix.replacing("0x1000", with: "\(4096 + $0)")) \(Self.cbc)" }
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
        #expect(try XfrmBatch.load(path: path).states.count == 500)
    }
}
