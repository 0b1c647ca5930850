import Cryptography
import IKEv2
import Testing

@Suite struct ProposalTextTests {
    @Test func ikeProposalsAreReadInStrongSwansNotation() throws {
        let combined = try IKEProposal(parsing: "aes256gcm16-prfsha384-ecp384")
        #expect(combined.encryption == [.aesGCM16(keyBits: 256)])
        #expect(combined.integrity.isEmpty)
        #expect(combined.functions == [.hmacSHA384])
        #expect(combined.keyExchanges == [.ecp384])

        let several = try IKEProposal(parsing: "aes128-aes256-sha256-sha512-modp2048-curve25519")
        #expect(several.encryption == [.aesCBC(keyBits: 128), .aesCBC(keyBits: 256)])
        #expect(several.integrity == [.hmacSHA256_128, .hmacSHA512_256])
        #expect(several.functions == [.hmacSHA256, .hmacSHA512], "the PRF follows the integrity algorithm")
        #expect(several.keyExchanges == [.modp2048, .x25519])

        let derived = try IKEProposal(parsing: "AES128GCM128-sha256-x448")
        #expect(
            derived
                == IKEProposal(
                    encryption: [.aesGCM16(keyBits: 128)], functions: [.hmacSHA256], keyExchanges: [.x448]))
    }

    @Test func childProposalsAreReadInStrongSwansNotation() throws {
        let plain = try ChildProposal(parsing: "aes128gcm16")
        #expect(plain == ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)]))
        let full = try ChildProposal(parsing: "aes256gcm12-chacha20poly1305-ecp256-esn-noesn")
        #expect(full.encryption == [.aesGCM(keyBits: 256, icvBytes: 12), .chaCha20Poly1305])
        #expect(full.keyExchanges == [.ecp256])
        #expect(full.extendedSequenceNumbers == [true, false])
        #expect(try ChildProposal(parsing: "null-sha1").integrity == [.hmacSHA1_96])
        #expect(try ChildProposal(parsing: "aes192gmac").encryption == [.aesGMAC(keyBits: 192)])
        #expect(try ChildProposal(parsing: "aes128ctr-sha2_384").integrity == [.hmacSHA384_192])
        #expect(try ChildProposal(parsing: "aes-sha256") == ChildProposal(parsing: "aes128-sha256"))
    }

    @Test(arguments: [
        "aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha256-sha384-x25519", "aes128-sha256-prfsha512-x448",
        "chacha20poly1305-prfsha256-prfsha512-modp4096",
    ])
    func whatIsWrittenIsReadAgain(_ text: String) throws {
        #expect(try IKEProposal(parsing: text).description == text)
    }

    @Test(arguments: ["aes128gcm16", "aes256-sha512-ecp521-esn", "aes128gcm8-esn-noesn", "null-sha256"])
    func whatIsWrittenOfChildrenIsReadAgain(_ text: String) throws {
        #expect(try ChildProposal(parsing: text).description == text)
    }

    @Test(arguments: [
        ("aes128-aes256gcm16-sha256-ecp256", "two proposals"), ("aes128-ecp256", "-sha256"),
        ("aes128gcm16-ecp256", "-prfsha256"), ("aes128-sha256", "-x25519"), ("sha256-ecp256", "aes256gcm16"),
        ("aes128gcm16-sha256-prfsha256-ecp256", "leave \"-sha256\" out"), ("aes128gcm8-prfsha256-ecp256", "ESP"),
        ("aes128-sha1-ecp256", "ESP"), ("3des-sha256-ecp256", "weak"), ("aes128-sha256-modp1024", "weak"),
        ("aes128-sha257-ecp256", "sha257"), ("", "known"), ("aes128--sha256-ecp256", "known"),
    ])
    func aBadProposalSaysWhatToWrite(_ text: String, _ remedy: String) {
        let error = #expect(throws: ProposalTextError.self) { try IKEProposal(parsing: text) }
        #expect(error?.description.contains(remedy) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        ("aes128gcm16-sha256", "leave \"-sha256\" out"), ("aes128-aes128gcm16-sha256", "two proposals"),
        ("aes128-sha256-prfsha256", "leave \"-prfsha256\" out"), ("null", "-sha256"),
    ])
    func aBadChildProposalSaysWhatToWrite(_ text: String, _ remedy: String) {
        let error = #expect(throws: ProposalTextError.self) { try ChildProposal(parsing: text) }
        #expect(error?.description.contains(remedy) == true, "\(error?.description ?? "")")
    }

    @Test func listsHoldDefault() throws {
        let list = try IKEProposal.list(parsing: "aes192gcm16-prfsha256-x448, default")
        #expect(list.count == 1 + IKEProposal.default.count)
        #expect(list.first?.keyExchanges == [.x448])
        #expect(try ChildProposal.list(parsing: "default") == ChildProposal.default)
        #expect(throws: ProposalTextError.self) { try IKEProposal.list(parsing: " , ") }
    }

    /// RFC 8247 sections 2.1 to 2.4, RFC 8221 sections 5 and 6: what is MUST or SHOULD; combined modes come first.
    @Test func theDefaultHasWhatTheRFCsAskFor() {
        #expect(IKEProposal.default.first?.integrity.isEmpty == true)
        let ciphers = IKEProposal.default.flatMap(\.encryption)
        #expect(ciphers.contains(.aesGCM16(keyBits: 128)) && ciphers.contains(.chaCha20Poly1305))
        #expect(ciphers.contains(.aesCBC(keyBits: 128)) && ciphers.contains(.aesCBC(keyBits: 256)))
        #expect(Set(IKEProposal.default.flatMap(\.keyExchanges)) == Set(KeyExchangeMethod.allCases))
        #expect(ChildProposal.default.first?.integrity.isEmpty == true)
        #expect(!ChildProposal.default.flatMap(\.integrity).contains(.hmacSHA1_96))
        for proposal in IKEProposal.default { #expect(throws: Never.self) { try IKEProposal(parsing: "\(proposal)") } }
    }
}
