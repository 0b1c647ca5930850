import Cryptography
import IKEv2
import Packets
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

    @Test(arguments: [
        "aes128gcm16", "aes256-sha512-ecp521-esn", "aes128gcm8-esn-noesn", "null-sha256", "aes256gcm16-ecp256-none",
        "aes128gcm16-none-x25519-esn",
    ])
    func whatIsWrittenOfChildrenIsReadAgain(_ text: String) throws {
        #expect(try ChildProposal(parsing: text).description == text)
    }

    @Test(arguments: [
        ("aes128-aes256gcm16-sha256-ecp256", "two proposals"), ("aes128-ecp256", "-sha256"),
        ("aes128gcm16-ecp256", "-prfsha256"), ("aes128-sha256", "-x25519"), ("sha256-ecp256", "aes256gcm16"),
        ("aes128gcm8-prfsha256-ecp256", "for ESP only; write \"aes128gcm16\" for \"aes128gcm8\""),
        ("3des-sha256-ecp256", "too weak (RFC 8247); write \"aes256\" for \"3des\""),
        ("aes256ccm16-prfsha256-ecp256", "write \"aes256gcm16\" for \"aes256ccm16\""),
        ("aes128-sha256-modp1024", "\"modp2048\" for \"modp1024\", here and at the peer, or start with --allow-weak"),
        ("aes128-sha257-ecp256", "did you mean \"sha256\" for \"sha257\"?"), ("", "unknown algorithm"),
        ("aes128--sha256-ecp256", "unknown algorithm"), ("aes256-sha256-none", "-x25519"),
        ("aes256-sha256-mlkem768", "\"x25519\" for \"mlkem768\""),
        ("aes256-sha256-x25519-ke1_mlkem768", "leave \"-ke1_mlkem768\" out"),
    ])
    func aBadProposalSaysWhatToWrite(_ text: String, _ remedy: String) {
        let error = #expect(throws: Problem.self) { try IKEProposal(parsing: text) }
        #expect(error?.description.contains(remedy) == true, "\(error?.description ?? "")")
    }

    /// All of them at once, each with the nearest good one.
    @Test func everyBadWordIsNamed() {
        let error = #expect(throws: Problem.self) { try IKEProposal(parsing: "3des-md5-modp1024") }
        #expect(
            error?.description
                == "\"3des\" is too weak (RFC 8247), \"md5\" is too weak (RFC 8247), \"modp1024\" is too weak (RFC 8247 section 2.4); "
                + "write \"aes256\" for \"3des\", \"sha256\" for \"md5\", \"modp2048\" for \"modp1024\", here and at the peer, "
                + "or start with --allow-weak if the peer has nothing better than modp1024 or modp1536")
        let misspelt = #expect(throws: Problem.self) { try IKEProposal(parsing: "aes265-md5-modp2047") }
        for part in [
            "unknown algorithm \"aes265\"", "did you mean \"aes256\"", "\"md5\"", "\"modp2048\" for \"modp2047\"",
        ] {
            #expect(misspelt?.description.contains(part) == true, "\(misspelt?.description ?? "")")
        }
    }

    @Test(arguments: [
        ("aes128-aes128gcm16-sha256", "two proposals"), ("null", "-sha256"),
        ("aes128ccm12", "write \"aes128gcm16\" for \"aes128ccm12\""),
        ("aes128-sha256-modp1024", "--allow-weak"), ("aes256-aesxcbc", "\"sha256\" for \"aesxcbc\""),
    ])
    func aBadChildProposalSaysWhatToWrite(_ text: String, _ remedy: String) {
        let error = #expect(throws: Problem.self) { try ChildProposal(parsing: text) }
        #expect(error?.description.contains(remedy) == true, "\(error?.description ?? "")")
    }

    /// What is beside the point is dropped, as strongSwan does it, with a remark.
    @Test(arguments: [
        ("aes128gcm16-sha256-prfsha256-ecp256", "aes128gcm16-prfsha256-ecp256", "\"sha256\" has no effect here"),
        ("aes256-sha256-modp2048-modp1024", "aes256-sha256-modp2048", "\"modp1024\" is too weak"),
        ("aes256-3des-sha256-md5-modp2048", "aes256-sha256-modp2048", "\"md5\" is too weak"),
        ("aes256-sha256-ecp256-mlkem768", "aes256-sha256-ecp256", "\"mlkem768\" is not supported"),
        ("aes256-sha256-prfaesxcbc-ecp256", "aes256-sha256-ecp256", "\"prfaesxcbc\" is not supported"),
    ])
    func whatIsBesideThePointIsLeftOut(_ text: String, _ left: String, _ note: String) {
        let reading = IKEProposal.reading([text])
        #expect(reading.errors.isEmpty && reading.proposals.map(\.description) == [left])
        #expect(reading.warnings.contains { $0.problem.what.hasPrefix(note) }, "\(reading.warnings)")
    }

    @Test(arguments: [
        ("aes256gcm16-sha256-modp2048", "aes256gcm16-modp2048", "\"sha256\" has no effect here"),
        ("aes256gcm16-prfsha256-modp2048", "aes256gcm16-modp2048", "\"prfsha256\" has no effect here"),
        ("aes256-sha256-prfsha256", "aes256-sha256", "\"prfsha256\" has no effect here"),
        ("aes256-camellia256-sha256", "aes256-sha256", "\"camellia256\" is not supported"),
        ("aes256-sha256-modp1024-none", "aes256-sha256", "\"modp1024\" is too weak"),
    ])
    func whatIsBesideThePointOfAChildIsLeftOut(_ text: String, _ left: String, _ note: String) {
        let reading = ChildProposal.reading([text])
        #expect(reading.errors.isEmpty && reading.proposals.map(\.description) == [left])
        #expect(reading.warnings.contains { $0.problem.what.hasPrefix(note) }, "\(reading.warnings)")
    }

    /// A list with something good loses the rest with a warning; one without is an error for each; a word that nobody knows
    /// is one always.
    @Test func aListWithAGoodAlternativeIsServed() {
        let reading = IKEProposal.reading(["aes256-sha256-modp2048", "aes128-sha1-modp1024", "3des-md5-modp768"])
        #expect(reading.errors.isEmpty && reading.proposals.map(\.description) == ["aes256-sha256-modp2048"])
        #expect(reading.warnings.map(\.item) == ["aes128-sha1-modp1024", "3des-md5-modp768"])
        #expect(reading.warnings.allSatisfy { $0.problem.what.hasSuffix("this proposal is left out") })
        let none = IKEProposal.reading(["aes128-sha1-modp1024", "3des-md5-modp768"])
        #expect(none.errors.count == 2 && none.proposals.isEmpty)
        let misspelt = IKEProposal.reading(["aes256-sha256-modp2048", "aes128-sha256-modp2o48"])
        #expect(misspelt.errors.count == 1)
        #expect(ChildProposal.reading(["default", "aes256ccm16"]).errors.isEmpty)
    }

    /// RFC 8247: SHA-1 is MUST-, and served to who names it.
    @Test(arguments: [
        "aes128-sha1-modp2048", "aes256-sha-ecp256", "aes256gcm16-prfsha1-ecp256", "aes256gcm16-sha1-ecp256",
    ])
    func legacySHA1IsServedWithAWarning(_ text: String) {
        let reading = IKEProposal.reading([text])
        #expect(reading.errors.isEmpty && reading.proposals.count == 1)
        #expect(reading.proposals.first?.functions == [.hmacSHA1])
        #expect(reading.warnings.contains { $0.problem.what.contains("MUST-") })
        #expect(
            !IKEProposal.default.contains { $0.functions.contains(.hmacSHA1) || $0.integrity.contains(.hmacSHA1_96) })
    }

    @Test func weakGroupsNeedToBeAllowed() {
        let rules = ProposalRules(allowsWeakGroups: true)
        let reading = IKEProposal.reading(["aes128-sha256-modp1024", "aes128-sha256-modp1536"], rules: rules)
        #expect(reading.errors.isEmpty && reading.proposals.flatMap(\.keyExchanges) == [.modp1024, .modp1536])
        #expect(reading.warnings.count == 2)
        let child = ChildProposal.reading(["aes128-sha1-modp1024"], rules: rules)
        #expect(child.errors.isEmpty && child.proposals.first?.keyExchanges == [.modp1024])
        let standard = IKEProposal.default.flatMap(\.keyExchanges) + ChildProposal.default.flatMap(\.keyExchanges)
        #expect(standard.filter(\.isWeak).isEmpty)
    }

    @Test func noneMakesTheKeyExchangeOptional() throws {
        let preferred = try ChildProposal(parsing: "aes256gcm16-ecp256-none")
        #expect(preferred.keyExchanges == [.ecp256] && preferred.keyExchangeNeed == .preferred)
        #expect(try ChildProposal(parsing: "aes256gcm16-modpnone-ecp256").keyExchangeNeed == .accepted)
        #expect(try ChildProposal(parsing: "aes256gcm16-none") == ChildProposal(parsing: "aes256gcm16"))
        #expect(try ChildProposal(parsing: "aes256gcm16-ecp256").keyExchangeNeed == .required)
        #expect(ChildProposal.default.allSatisfy { $0.keyExchangeNeed == .preferred })
    }

    @Test func listsHoldDefault() throws {
        let list = try IKEProposal.list(parsing: "aes192gcm16-prfsha256-x448, default")
        #expect(list.count == 1 + IKEProposal.default.count)
        #expect(list.first?.keyExchanges == [.x448])
        #expect(try ChildProposal.list(parsing: "default") == ChildProposal.default)
        #expect(throws: Problem.self) { try IKEProposal.list(parsing: " , ") }
    }

    /// RFC 8247 sections 2.1 to 2.4, RFC 8221 sections 5 and 6: what is MUST or SHOULD; combined modes come first.
    @Test func theDefaultHasWhatTheRFCsAskFor() {
        #expect(IKEProposal.default.first?.integrity.isEmpty == true)
        let ciphers = IKEProposal.default.flatMap(\.encryption)
        #expect(ciphers.contains(.aesGCM16(keyBits: 128)) && ciphers.contains(.chaCha20Poly1305))
        #expect(ciphers.contains(.aesCBC(keyBits: 128)) && ciphers.contains(.aesCBC(keyBits: 256)))
        #expect(
            Set(IKEProposal.default.flatMap(\.keyExchanges)) == Set(KeyExchangeMethod.allCases.filter { !$0.isWeak }))
        #expect(ChildProposal.default.first?.integrity.isEmpty == true)
        #expect(!ChildProposal.default.flatMap(\.integrity).contains(.hmacSHA1_96))
        for proposal in IKEProposal.default { #expect(throws: Never.self) { try IKEProposal(parsing: "\(proposal)") } }
    }
}
