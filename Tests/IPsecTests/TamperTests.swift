import Cryptography
import IPsec
import Telemetry
import Testing

@Suite("Forged and damaged packets")
struct TamperTests {
    static let transforms = [
        "aes128gcm16", "aes256gcm8", "aes128gmac", "chacha20poly1305", "aes128-sha256", "null-sha512",
    ]

    /// Each byte of the ESP packet in turn, with one bit and with all bits changed: dropped, and the packet itself
    /// still arrives afterwards.
    @Test(arguments: transforms, [false, true])
    func everyByte(name: String, extended: Bool) throws {
        let transform = try #require(ESPTransform(name))
        let tunnel = try Tunnel(
            parameters(transform: transform) { $0.extendedSequenceNumbers = extended })
        let length = try tunnel.protect(ipv4(60)).outer.count
        for offset in 20..<length {
            for mask in [0x01, 0x80, 0xFF] as [UInt8] {
                let outer = try tunnel.protect(ipv4(60)).outer
                var forged = outer
                forged[offset] ^= mask
                let verdict = try tunnel.unprotect(forged).verdict
                if (24..<28).contains(offset) {
                    // Another sequence number: old ones do not even reach the cipher.
                    let reasons: [DropReason] = [.integrityFailure, .replayDuplicate, .replayTooOld]
                    #expect(verdict.reason.map(reasons.contains) == true)
                } else {
                    #expect(verdict == .drop(.integrityFailure), "byte \(offset)")
                }
                #expect(try tunnel.unprotect(outer).verdict == .pass)
            }
        }
    }

    /// Each shorter length: dropped, and the whole packet still arrives.
    @Test(arguments: transforms)
    func everyTruncation(name: String) throws {
        let transform = try #require(ESPTransform(name))
        let tunnel = try Tunnel(parameters(transform: transform))
        let outer = try tunnel.protect(ipv4(60)).outer
        let overhead = 8 + transform.ivLength + transform.icvLength
        for length in 0..<outer.count - 20 {
            let verdict = tunnel.unprotect(header: tunnel.frame.load(outer) + 20, length: length).verdict
            let payload = length - overhead
            let fits = payload > 0 && payload % transform.alignment == 0
            #expect(verdict == .drop(fits ? .integrityFailure : .malformedESP), "\(length) bytes")
        }
        #expect(try tunnel.unprotect(outer).verdict == .pass)
        #expect(tunnel.inboundDrops(.malformedESP) > 0)
    }

    @Test(arguments: transforms)
    func trailingBytes(name: String) throws {
        let transform = try #require(ESPTransform(name))
        let tunnel = try Tunnel(parameters(transform: transform))
        let outer = try tunnel.protect(ipv4(60)).outer
        for extra in 1...33 {
            let start = tunnel.frame.load(outer + [UInt8](repeating: 0, count: extra)) + 20
            let verdict = tunnel.unprotect(header: start, length: outer.count - 20 + extra).verdict
            let fits = extra % transform.alignment == 0
            #expect(verdict == .drop(fits ? .integrityFailure : .malformedESP), "\(extra) bytes")
        }
        #expect(try tunnel.unprotect(outer).verdict == .pass)
    }

    /// A forged packet far ahead does not move the window.
    @Test func forgeryDoesNotMoveTheWindow() throws {
        let tunnel = try Tunnel(parameters { $0.replayWindow = 32 })
        let outer = try tunnel.protect(ipv4(60)).outer
        var forged = outer
        forged.replaceSubrange(24..<28, with: [0x7F, 0xFF, 0xFF, 0xFF])
        #expect(try tunnel.unprotect(forged).verdict == .drop(.integrityFailure))
        #expect(tunnel.inbound.status(now: 0).sequence == 0)
        #expect(try tunnel.unprotect(outer).verdict == .pass)
    }

    /// RFC 4303 sends the high half of the number in no packet, but authenticates it.
    @Test func highHalfIsAuthenticated() throws {
        let sender = try Tunnel(
            parameters {
                $0.extendedSequenceNumbers = true
                $0.initialSequence = 0x1_0000_0000
            })
        let outer = try sender.protect(ipv4(60)).outer
        #expect(Array(outer[24..<28]) == [0, 0, 0, 1])
        #expect(try sender.unprotect(outer).verdict == .drop(.integrityFailure))
        let receiver = try Tunnel(
            parameters {
                $0.extendedSequenceNumbers = true
                $0.initialReplaySequence = 0xFFFF_FFFF
            })
        #expect(try receiver.unprotect(outer).verdict == .pass)
        #expect(receiver.inbound.status(now: 0).sequence == 0x1_0000_0001)
    }

    /// Whatever a forged ciphertext would decrypt to, good padding or bad, the answer and the counters are the same.
    @Test func noPaddingOracle() throws {
        let tunnel = try Tunnel(parameters(transform: .aes128CBCSHA256))
        let outer = try tunnel.protect(ipv4(60)).outer
        let lastBlock = outer.count - 16 - 16
        var forgeries: UInt64 = 0
        for value in 0...255 as ClosedRange<UInt8> where value != 0 {
            // In CBC a change of the block before changes the last block's plaintext as wanted: pad length, padding.
            for offset in [lastBlock - 2, lastBlock - 3, lastBlock - 1] {
                var forged = outer
                forged[offset] ^= value
                #expect(try tunnel.unprotect(forged).verdict == .drop(.integrityFailure))
                forgeries += 1
            }
        }
        #expect(tunnel.inbound.status(now: 0).drops.map(\.reason) == [.integrityFailure])
        #expect(tunnel.inboundDrops(.integrityFailure) == forgeries)
    }

    @Test func randomBytes() throws {
        let tunnel = try Tunnel(parameters())
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...300, using: &generator)
            let junk = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let verdict = tunnel.unprotect(header: tunnel.frame.load(junk), length: length).verdict
            #expect(verdict == .drop(.malformedESP) || verdict == .drop(.integrityFailure))
        }
        #expect(try tunnel.unprotect(tunnel.protect(ipv4(60)).outer).verdict == .pass)
    }
}
