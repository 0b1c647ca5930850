import Configuration
import Cryptography
import IPsec
import Packets
import Testing

/// Every word of `xfrm state add` that is served.
@Suite struct XfrmStateTests {
    @Test func wholeLine() throws {
        let state = try state(
            """
            ip xfrm state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0x1000 reqid 7 seq 9 mode tunnel \\
                replay-window 64 replay-seq 5 replay-oseq 0x10 replay-seq-hi 1 replay-oseq-hi 2 \\
                flag esn noecn nopmtudisc af-unspec align4 extra-flag dont-encap-dscp \(gcm) \\
                encap espinudp 4500 4501 :: sel src 10.0.0.0/8 dst 10.2.0.0/16 proto tcp sport 5 dport 443 \\
                mark 0 mask 0 if_id 0 output-mark 0 tfcpad 0
            """)
        #expect(state.source == IPAddress("2001:db8::1") && state.destination == IPAddress("2001:db8::2"))
        #expect(state.spi == 0x1000 && state.requestID == 7 && state.mode == .tunnel && state.isManual)
        #expect(state.replayWindow == 64 && state.extendedSequenceNumbers)
        #expect(state.initialReplaySequence == 1 << 32 | 5 && state.initialSequence == 2 << 32 | 0x10)
        #expect(!state.ecn && state.dontFragment == .clear && !state.copyDSCP)
        #expect(state.encapsulation == UDPEncapsulation(sourcePort: 4500, destinationPort: 4501))
        #expect(state.transform == .aes128GCM16)
        let selector = TrafficSelector(
            source: AddressRange(try #require(IPPrefix("10.0.0.0/8"))),
            destination: AddressRange(try #require(IPPrefix("10.2.0.0/16"))), protocol: 6, sourcePorts: 5...5,
            destinationPorts: 443...443)
        #expect(state.selectors == [selector])
    }

    @Test func defaultsAreThoseOfLinux() throws {
        let state = try state("\(statePrefix) \(gcm)")
        #expect(state.replayWindow == 0 && !state.extendedSequenceNumbers && state.initialSequence == 0)
        #expect(state.ecn && state.copyDSCP && state.dontFragment == .copy && state.encapsulation == nil)
        #expect(state.selectors.isEmpty && state.lifetime == .unlimited)
        let wider = try XfrmBatch.parse("\(statePrefix) \(gcm)", file: "f", defaultReplayWindow: 1024)
        #expect(wider.states.first?.replayWindow == 1024)
    }

    @Test(arguments: [
        ("aead 'rfc4106(gcm(aes))' \(key(20)) 128", "aes128gcm16", 20),
        ("aead rfc4106(gcm(aes)) \(key(28)) 96", "aes192gcm12", 28),
        ("aead rfc4106(gcm(aes)) \(key(36)) 64", "aes256gcm8", 36),
        ("aead rfc4543(gcm(aes)) \(key(36)) 128", "aes256gmac", 36),
        ("aead 'rfc7539esp(chacha20,poly1305)' \(key(36)) 128", "chacha20poly1305", 36),
        ("enc cbc(aes) \(key(16)) auth-trunc hmac(sha256) \(key(32)) 128", "aes128-sha256", 48),
        ("auth hmac(sha384) \(key(48)) enc aes \(key(24))", "aes192-sha384", 72),
        ("enc cbc(aes) \(key(32)) auth hmac(sha512) \(key(64))", "aes256-sha512", 96),
        ("enc cbc(aes) \(key(32)) auth sha1 \(key(20))", "aes256-sha1", 52),
        ("enc rfc3686(ctr(aes)) \(key(20)) auth-trunc sha256 \(key(32)) 128", "aes128ctr-sha256", 52),
        ("enc ecb(cipher_null) \"\" auth-trunc hmac(sha384) \(key(48)) 192", "null-sha384", 48),
        ("enc cipher_null 0x auth-trunc hmac(sha512) \(key(64)) 256", "null-sha512", 64),
    ])
    func algorithms(text: String, name: String, keyLength: Int) throws {
        let state = try state("\(statePrefix) \(text)")
        #expect(state.transform.name == name)
        #expect(state.key.count == keyLength && state.transform.keyMaterialLength == keyLength)
    }

    @Test func keyMaterialIsInTheEnginesOrder() throws {
        let state = try state(
            "\(statePrefix) auth-trunc hmac(sha256) '0123456789abcdefghijklmnopqrstuv' 128 enc cbc(aes) 0x00112233445566778899AABBCCDDEEFF"
        )
        var expected: [UInt8] = (0..<16).map { UInt8($0 * 0x11) }
        expected += Array("0123456789abcdefghijklmnopqrstuv".utf8)
        #expect(state.key == SecretBytes(copying: expected))
    }

    @Test func oddNumberOfDigitsGetsAZero() throws {
        let configuration = try parse(
            "\(statePrefix) aead rfc4106(gcm(aes)) 0x1\(String(repeating: "23", count: 19)) 128")
        let expected: [UInt8] = [0x01] + [UInt8](repeating: 0x23, count: 19)
        #expect(configuration.states.first?.key == SecretBytes(copying: expected))
        #expect(configuration.warnings.contains { $0.what.contains("odd number of digits") })
    }

    @Test(
        arguments: [
            ("time-soft", \Lifetime.softSecondsAfterAdd), ("time-hard", \.hardSecondsAfterAdd),
            ("time-use-soft", \.softSecondsAfterUse), ("time-use-hard", \.hardSecondsAfterUse),
            ("byte-soft", \.softBytes), ("byte-hard", \.hardBytes), ("packet-soft", \.softPackets),
            ("packet-hard", \.hardPackets),
        ] as [(String, any KeyPath<Lifetime, UInt64?> & Sendable)])
    func limits(word: String, path: any KeyPath<Lifetime, UInt64?> & Sendable) throws {
        #expect(try state("\(statePrefix) \(gcm) limit \(word) 1000").lifetime[keyPath: path] == 1000)
        #expect(try state("\(statePrefix) \(gcm) limit \(word) \(UInt64.max)").lifetime == .unlimited)
    }

    @Test func severalLimits() throws {
        let lifetime = try state("\(statePrefix) limit byte-soft 5 limit byte-hard 10 \(gcm) limit time-hard 0")
            .lifetime
        #expect(lifetime == Lifetime(softBytes: 5, hardBytes: 10))
    }

    @Test(
        arguments: [
            ("proto icmp type 8 code 0", 1, 0x0800...0x0800), ("proto 1 type 3", 1, 0x0300...0x03FF),
            ("proto ipv6-icmp type 128", 58, 0x8000...0x80FF), ("proto udp sport 53", 17, 53...53),
            ("proto sctp sport 0", 132, 0...65535), ("proto gre", 47, 0...65535),
            ("dev none proto any", nil, 0...65535),
        ] as [(String, UInt8?, ClosedRange<UInt16>)])
    func selectors(text: String, number: UInt8?, ports: ClosedRange<UInt16>) throws {
        let selector = try #require(try state("\(statePrefix) sel \(text) \(gcm)").selectors.first)
        #expect(selector.protocol == number && selector.sourcePorts == ports)
        #expect(selector.source.isAny && selector.destination.isAny && selector.family == .ipv4)
    }

    @Test func updateReplacesAndFlushForgets() throws {
        let other = statePrefix.replacing("0x1000", with: "0x2000")
        let replaced = try parse(
            "\(statePrefix) \(gcm)\n\(other) \(gcm.replacing("1213 ", with: "1214 "))\n\(statePrefix.replacing("add", with: "update").replacing("reqid 1", with: "reqid 5")) \(gcm)"
        )
        #expect(replaced.states.map(\.spi) == [0x1000, 0x2000])
        #expect(replaced.states.map(\.requestID) == [5, 1])
        let flushed = try parse("\(statePrefix) \(gcm)\nxfrm state flush\nxfrm policy flush\n\(statePrefix) \(gcm)")
        #expect(flushed.states.count == 1)
    }
}
