import IKEv2Messages
import Testing

@testable import IKEv2

/// Requirements of RFC 7296, 8221 and 8247 that no exchange shows by itself.
@Suite struct RequirementTests {
    /// RFC 7296 sections 2.10 and 3.9: of 16 to 256 bytes, of at least half the key of every PRF (64 bytes at most), and never
    /// twice.
    @Test func noncesAreLongAndNew() throws {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        for _ in 0..<3 {
            let session = try #require(bench.west.session)
            let child = try #require(session.children.first)
            bench.west.perform(session) { $0.rekeyChild(id: child.id, environment: bench.west.environment) }
            bench.run()
        }
        let nonces = (1...bench.datagrams.count).flatMap { number -> [[UInt8]] in
            let plain = try? ReceivedMessage(decoding: bench.datagrams[number - 1]).plainMessage?.nonce
            if let plain { return [plain.data] }
            return (bench.contents(of: number) ?? []).compactMap {
                if case .nonce(let nonce) = $0 { nonce.data } else { nil }
            }
        }
        #expect(nonces.count == 8)
        #expect(Set(nonces).count == nonces.count)
        #expect(nonces.allSatisfy { 32...256 ~= $0.count })
    }

    /// RFC 7296 sections 1.7, 2.20 and 3.15.1: a set value, the version of the application and an attribute that is to be ignored
    /// are answered by nothing.
    @Test(arguments: [(1, 7), (1, 5), (3, 1), (3, 5)] as [(UInt8, UInt16)])
    func configurationIsAnsweredByNothing(type: UInt8, attribute: UInt16) {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        bench.forgetTrace()
        let wish = ConfigurationPayload(
            type: .init(rawValue: type), attributes: [.init(.init(rawValue: attribute))])
        bench.injectProtected(to: bench.east, .informational, .request, messageID: 2, [.configuration(wish)])
        #expect(bench.trace == ["<-- INFORMATIONAL response 2 [SK { }]"])
        #expect(bench.east.session?.isEstablished == true)
    }

    /// RFC 8247 sections 2.1 to 2.4.
    @Test(arguments: [
        "des-sha256-x25519", "3des-sha256-x25519", "null-sha256-x25519", "aes128-md5-x25519", "aes128-x25519",
        "aes128gcm16-prfmd5-x25519", "aes128-sha256-modp768", "aes128-sha256-modp1024s160",
    ])
    func noIKESAHasIt(text: String) {
        #expect(throws: (any Error).self) { try IKEProposal(parsing: text) }
    }

    /// RFC 8221 sections 4 to 6.
    @Test(arguments: ["des-sha256", "3des-sha256", "blowfish128-sha256", "aes128-md5", "aes128", "null"])
    func noChildHasIt(text: String) {
        #expect(throws: (any Error).self) { try ChildProposal(parsing: text) }
    }
}
