import Cryptography
import IKEv2
import IKEv2Messages
import Testing

@Suite struct ProposalNegotiationTests {
    private func ike(_ texts: String...) throws -> [IKEProposal] { try texts.map { try IKEProposal(parsing: $0) } }
    private func children(_ texts: String...) throws -> [ChildProposal] {
        try texts.map { try ChildProposal(parsing: $0) }
    }

    @Test func bothSidesFindTheSameSuite() throws {
        let initiator = try ike("aes256gcm16-prfsha384-ecp384", "aes128-sha256-x25519-ecp256")
        let responder = try ike("chacha20poly1305-prfsha256-x448", "aes256-aes128-sha256-ecp256-x25519")
        let offer = IKENegotiation.offer(initiator, spi: nil)
        #expect(offer.isNumberedAsOffer)
        let chosen = try #require(IKENegotiation.choose(offer, configured: responder))
        #expect(chosen.number == 2)
        #expect("\(chosen.suite)" == "aes128-sha256")
        #expect(chosen.function == .hmacSHA256)
        #expect(chosen.keyExchange == .ecp256, "the responder's order decides")

        let answer = IKENegotiation.answer(chosen, spi: nil)
        #expect(answer.proposals.first?.transforms.count == 4)
        #expect(IKENegotiation.check(answer, offered: initiator) == chosen)
    }

    /// What strangers offer is not spelt out without end, nor searched.
    @Test func anEndlessProposalIsRefusedInFewWords() throws {
        let configured = try ike("aes256-sha256-x25519")
        func offer(_ transforms: [Transform]) -> SecurityAssociationPayload {
            SecurityAssociationPayload([Proposal(number: 1, protocolID: .ike, transforms: transforms)])
        }
        let ours = try #require(IKENegotiation.offer(configured, spi: nil).proposals.first).transforms
        let types = (20...250).map { Transform(type: TransformType(rawValue: $0), id: 7) }
        let known = [Transform](repeating: .encryption(.aesGCM16, keyLength: 256), count: 700) + ours.dropFirst()
        let unknown = (0..<700).map { Transform(type: .encryption, id: 1000 + $0) } + ours.dropFirst()
        for transforms in [known, unknown, ours + types] {
            #expect(IKENegotiation.choose(offer(transforms), configured: configured) == nil)
            let text = IKENegotiation.explain(
                offered: offer(transforms), configured: configured, connection: "site"
            ).description
            #expect(text.utf8.count < 4000)
            #expect(text.contains("differs from"))
        }
        #expect(IKENegotiation.choose(offer(ours), configured: configured) != nil)
    }

    @Test(arguments: IKECipherSuite.all)
    func everySuiteCanBeNegotiated(_ suite: IKECipherSuite) throws {
        for function in PRF.allCases {
            let proposal = IKEProposal(
                encryption: [suite.encryption], integrity: suite.integrity.map { [$0] } ?? [], functions: [function],
                keyExchanges: [.x25519])
            let offer = IKENegotiation.offer([proposal], spi: 0x0102_0304_0506_0708)
            let chosen = try #require(IKENegotiation.choose(offer, configured: [proposal]))
            #expect(chosen.suite == suite && chosen.function == function && chosen.peerSPI == 0x0102_0304_0506_0708)
            let checked = IKENegotiation.check(IKENegotiation.answer(chosen, spi: 7), offered: [proposal])
            #expect(checked?.suite == suite && checked?.peerSPI == 7)
        }
    }

    /// SHA-256 cut to 96 bits has no number of its own.
    @Test(arguments: ESPTransform.all.filter { $0.integrity != .hmacSHA256_96 })
    func everyESPSuiteCanBeNegotiated(_ transform: ESPTransform) throws {
        let proposal = ChildProposal(
            encryption: [transform.encryption], integrity: transform.integrity.map { [$0] } ?? [],
            extendedSequenceNumbers: [true])
        let offer = ChildNegotiation.offer([proposal], spi: 0xC000_0001, withKeyExchange: true)
        let chosen = try #require(ChildNegotiation.choose(offer, configured: [proposal], withKeyExchange: true))
        #expect(chosen.transform == transform && chosen.extendedSequenceNumbers && chosen.peerSPI == 0xC000_0001)
        let answer = ChildNegotiation.answer(chosen, spi: 0xC000_0002)
        let checked = ChildNegotiation.check(answer, offered: [proposal], withKeyExchange: true)
        #expect(checked?.transform == transform && checked?.peerSPI == 0xC000_0002)
    }

    /// RFC 7296 section 1.2: no key exchange for the child of IKE_AUTH, and with PFS on both sides there is one later.
    @Test func theKeyExchangeOfAChildCountsOnlyInCreateChild() throws {
        let proposals = try children("aes128gcm16-x25519-ecp256")
        let first = ChildNegotiation.offer(proposals, spi: 300, withKeyExchange: false)
        #expect(first.proposals.first?.transforms(of: .keyExchange).isEmpty == true)
        let chosen = try #require(ChildNegotiation.choose(first, configured: proposals, withKeyExchange: false))
        #expect(chosen.keyExchange == nil)

        let later = ChildNegotiation.offer(proposals, spi: 300, withKeyExchange: true)
        #expect(ChildNegotiation.choose(later, configured: proposals, withKeyExchange: true)?.keyExchange == .x25519)
        let without = try children("aes128gcm16")
        #expect(ChildNegotiation.choose(later, configured: without, withKeyExchange: true) == nil)
        let plain = ChildNegotiation.offer(without, spi: 300, withKeyExchange: true)
        #expect(ChildNegotiation.choose(plain, configured: proposals, withKeyExchange: true) == nil, "PFS is wanted")
        #expect(
            ChildNegotiation.choose(later, configured: without, withKeyExchange: false)?.keyExchange == nil,
            "a group in IKE_AUTH has no meaning")
    }

    /// RFC 7296 section 3.3.6: `NONE` beside groups means that there need not be one; without it there has to be.
    @Test(
        arguments: [
            ("ecp256-none", "ecp256", "ecp256"), ("ecp256-none", "", nil), ("ecp256", "ecp256-none", "ecp256"),
            ("", "ecp256-none", nil), ("ecp256-none", "ecp256-none", "ecp256"), ("none-ecp256", "none-ecp256", nil),
            ("none-ecp256", "ecp256", "ecp256"), ("ecp256", "none-ecp256", "ecp256"),
            ("ecp256-none", "x25519-none", nil),
        ] as [(String, String, String?)])
    func anOptionalKeyExchangeServesBothKindsOfPeers(_ ours: String, _ theirs: String, _ method: String?) throws {
        func proposals(_ suffix: String) throws -> [ChildProposal] {
            try children("aes128gcm16" + (suffix.isEmpty ? "" : "-" + suffix))
        }
        let (initiator, responder) = (try proposals(ours), try proposals(theirs))
        let offer = ChildNegotiation.offer(initiator, spi: 300, withKeyExchange: true)
        let chosen = try #require(
            ChildNegotiation.choose(
                offer, configured: responder, withKeyExchange: true,
                hasKeyExchange: !ours.isEmpty && !ours.hasPrefix("none")))
        #expect(chosen.keyExchange?.name == method)
        let answer = ChildNegotiation.answer(chosen, spi: 301)
        let checked = try #require(ChildNegotiation.check(answer, offered: initiator, withKeyExchange: true))
        #expect(checked.keyExchange?.name == method)
    }

    @Test(arguments: [("ecp256-none", "x25519"), ("x25519", "ecp256-none")])
    func anOptionalKeyExchangeDoesNotReplaceOneThatIsDemanded(_ ours: String, _ theirs: String) throws {
        let offer = ChildNegotiation.offer(try children("aes128gcm16-\(ours)"), spi: 300, withKeyExchange: true)
        let configured = try children("aes128gcm16-\(theirs)")
        #expect(ChildNegotiation.choose(offer, configured: configured, withKeyExchange: true) == nil)
    }

    @Test func noneIsTheSameAsNothing() throws {
        let configured = try children("aes128gcm16")
        var offer = ChildNegotiation.offer(configured, spi: 300, withKeyExchange: true)
        offer.proposals[0].transforms += [
            .keyExchange(.init(rawValue: 14)), .keyExchange(.init(rawValue: 0)), .integrity(.none),
        ]
        let chosen = try #require(ChildNegotiation.choose(offer, configured: configured, withKeyExchange: true))
        #expect(chosen.keyExchange == nil)
        let answer = ChildNegotiation.answer(chosen, spi: 301).proposals[0]
        #expect(answer.transforms(of: .keyExchange).map(\.id) == [0], "what was offered is answered")
        #expect(answer.transforms(of: .integrity).map(\.id) == [0])
    }

    @Test func withoutSequenceNumbersTheyAreNotExtended() throws {
        var offer = ChildNegotiation.offer(try children("aes128gcm16"), spi: 300, withKeyExchange: false)
        offer.proposals[0].transforms.removeAll { $0.type == .sequenceNumbers }
        let both = try children("aes128gcm16-esn-noesn")
        let chosen = ChildNegotiation.choose(offer, configured: both, withKeyExchange: false)
        #expect(chosen?.extendedSequenceNumbers == false)
        let only = try children("aes128gcm16-esn")
        #expect(ChildNegotiation.choose(offer, configured: only, withKeyExchange: false) == nil)
    }

    /// RFC 7296 sections 3.3.6 and 3.3.5: an unknown transform is passed over, an unknown type spoils the proposal.
    @Test func unknownPartsOfAnOffer() throws {
        let configured = try ike("aes128-sha256-ecp256")
        var offer = IKENegotiation.offer(configured, spi: nil)
        let odd = Transform(
            type: .encryption, id: 12,
            attributes: [.keyLength(128), .init(type: .init(rawValue: 99), value: .short(1))])
        offer.proposals[0].transforms.insert(odd, at: 0)
        offer.proposals[0].transforms.insert(Transform(type: .keyExchange, id: 4711), at: 0)
        #expect(IKENegotiation.choose(offer, configured: configured) != nil)

        offer.proposals[0].transforms.removeAll { $0.type == .encryption && $0 != odd }
        #expect(IKENegotiation.choose(offer, configured: configured) == nil, "the attribute is unknown")

        var extra = IKENegotiation.offer(configured, spi: nil)
        extra.proposals[0].transforms.append(Transform(type: .init(rawValue: 77), id: 1))
        #expect(IKENegotiation.choose(extra, configured: configured) == nil, "the type is unknown")
        extra.proposals[0].transforms[4] = Transform(type: .additionalKeyExchange1, id: 0)
        #expect(IKENegotiation.choose(extra, configured: configured) != nil, "NONE asks for nothing")
    }

    @Test func anAnswerMustBeOneOfTheOffers() throws {
        let offered = try ike("aes128-aes256-sha256-ecp256-x25519")
        let chosen = try #require(IKENegotiation.choose(IKENegotiation.offer(offered, spi: nil), configured: offered))
        let good = IKENegotiation.answer(chosen, spi: nil)
        var other = good
        other.proposals[0].number = 2
        #expect(IKENegotiation.check(other, offered: offered) == nil)
        #expect(
            IKENegotiation.check(IKENegotiation.offer(offered, spi: nil), offered: offered) == nil, "a choice is open")
        let foreign = try #require(
            IKENegotiation.choose(
                IKENegotiation.offer(try ike("aes192-sha256-ecp256"), spi: nil),
                configured: try ike("aes192-sha256-ecp256")))
        #expect(IKENegotiation.check(IKENegotiation.answer(foreign, spi: nil), offered: offered) == nil)
        var less = good
        less.proposals[0].transforms.removeAll { $0.type == .integrity }
        #expect(IKENegotiation.check(less, offered: offered) == nil)
    }

    @Test func aReservedSPIIsNoChoice() throws {
        let configured = try children("aes128gcm16")
        let offer = ChildNegotiation.offer(configured, spi: 255, withKeyExchange: false)
        #expect(ChildNegotiation.choose(offer, configured: configured, withKeyExchange: false) == nil)
    }

    @Test func aSecondTryUsesTheGroupThatThePeerWants() throws {
        let offered = try ike("aes128-sha256-ecp256-x25519")
        func retry(_ method: UInt16) -> KeyExchangeMethod? {
            IKENegotiation.retryMethod(
                .invalidKeyExchange(wanted: .init(rawValue: method)), offered: offered, refused: .ecp256)
        }
        #expect(retry(31) == .x25519)
        #expect(retry(19) == nil, "that one was just refused")
        #expect(retry(14) == nil, "that one was never offered")
        #expect(
            IKENegotiation.retryMethod(NotifyPayload(.invalidKeyExchange), offered: offered, refused: .ecp256) == nil)
    }

    @Test func theExplanationSaysWhatDiffersAndWhatToChange() throws {
        let offer = IKENegotiation.offer(try ike("aes128-sha256-modp2048", "aes256gcm16-prfsha256-ecp384"), spi: nil)
        let explanation = IKENegotiation.explain(
            offered: offer, configured: try ike("aes256gcm16-prfsha384-ecp384", "aes128-sha256-x25519"),
            connection: "hq")
        let text = explanation.description
        #expect(text.contains("proposal 1 (IKE:AES_CBC-128"))
        #expect(
            text.contains("differs from aes128-sha256-x25519 in key exchange: peer MODP_2048, here CURVE_25519"),
            "\(text)")
        #expect(
            text.contains("differs from aes256gcm16-prfsha384-ecp384 in PRF: peer PRF_HMAC_SHA2_256, here"), "\(text)")
        #expect(
            explanation.remedy.hasPrefix(
                "write connections.hq.proposals = aes256gcm16-prfsha384-ecp384, aes128-sha256-x25519, "
                    + "aes128-sha256-modp2048"), "\(text)")
    }

    @Test func theExplanationForAChildNamesItsSetting() throws {
        let offer = ChildNegotiation.offer(try children("aes256-sha512"), spi: 300, withKeyExchange: false)
        let explanation = ChildNegotiation.explain(
            offered: offer, configured: try children("aes128gcm16"), withKeyExchange: false, connection: "hq",
            child: "net")
        #expect(
            explanation.remedy.hasPrefix(
                "write connections.hq.children.net.esp_proposals = aes128gcm16, aes256-sha512"))
        #expect(explanation.details.contains { $0.contains("encryption: peer AES_CBC-256, here AES_GCM_16-128") })
    }
}
