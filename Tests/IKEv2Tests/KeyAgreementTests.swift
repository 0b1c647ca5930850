import Cryptography
import IKEv2Messages
import Testing

@testable import IKEv2

/// Keys that change between IKE_SA_INIT and IKE_AUTH: RFC 9370 section 2.2.2 and RFC 8784 section 3.
@Suite struct KeyAgreementTests {
    private let second = SecretBytes(copying: Array(repeating: 0x5a, count: 48))
    private let preshared = SecretBytes(copying: Array("a post-quantum preshared key".utf8))

    /// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr.
    private func material(_ keys: IKEKeys) -> String {
        [
            keys.derivation, keys.integrityInitiator, keys.integrityResponder, keys.encryptionInitiator,
            keys.encryptionResponder, keys.proofInitiator, keys.proofResponder,
        ].compactMap { $0.map(hexadecimal) }.joined()
    }

    private func plain(_ secret: SecretBytes) -> [UInt8] { secret.withUnsafeBytes { Array($0) } }

    /// One HMAC over these bytes.
    private func mac(_ function: PRF, _ key: [UInt8], _ data: [UInt8]) throws -> [UInt8] {
        try plain(function.compute(key: SecretBytes(copying: key), .bytes(data)))
    }

    /// prf+ from HMACs alone: T1 | T2 | … (RFC 7296 section 2.13).
    private func expanded(_ function: PRF, _ key: [UInt8], _ seed: [UInt8], count: Int) throws -> [UInt8] {
        var (all, block): ([UInt8], [UInt8]) = ([], [])
        for number in 1...255 where all.count < count {
            block = try mac(function, key, block + seed + [UInt8(number)])
            all += block
        }
        return Array(all.prefix(count))
    }

    // MARK: - Derivation

    /// Two key exchanges one after the other, of which the second is made with SK_d of the first.
    @Test(arguments: DerivedKeys.all, IKECipherSuite.all)
    func keysAfterFurtherKeyExchanges(_ published: DerivedKeys, suite: IKECipherSuite) throws {
        let nonces = (initiator: bytes(published.initiatorNonce), responder: bytes(published.responderNonce))
        let joined = nonces.initiator + nonces.responder
        var keys = try published.keys(suite)
        let spis = IKEKeys.bytes(published.initiatorSPI) + IKEKeys.bytes(published.responderSPI)
        for secret in [bytes(published.newSecret), plain(second)] {
            let seed = try mac(published.function, plain(keys.derivation), secret + joined)
            let before = material(keys)
            keys = try keys.rederived(
                with: SecretBytes(copying: secret), initiatorNonce: nonces.initiator,
                responderNonce: nonces.responder)
            let expected = try expanded(published.function, seed, joined + spis, count: before.count / 2)
            #expect(material(keys) == hexadecimal(expected))
            #expect(keys.initiatorSPI == published.initiatorSPI && keys.responderSPI == published.responderSPI)
        }
    }

    /// NIST's SKEYSEED(rekey) is the same function of the same values.
    @Test(arguments: DerivedKeys.all)
    func theSeedIsThePublishedOne(_ published: DerivedKeys) throws {
        let suite = try #require(IKECipherSuite(encryption: .aesGCM16(keyBits: 256)))
        let nonces = (initiator: bytes(published.initiatorNonce), responder: bytes(published.responderNonce))
        let keys = try published.keys(suite).rederived(
            with: SecretBytes(copying: bytes(published.newSecret)), initiatorNonce: nonces.initiator,
            responderNonce: nonces.responder)
        let expected = try expanded(
            published.function, bytes(published.rekeySeed),
            nonces.initiator + nonces.responder + IKEKeys.bytes(published.initiatorSPI)
                + IKEKeys.bytes(published.responderSPI), count: material(keys).count / 2)
        #expect(material(keys) == hexadecimal(expected))
    }

    @Test(arguments: DerivedKeys.all, IKECipherSuite.all)
    func keysWithAPresharedKey(_ published: DerivedKeys, suite: IKECipherSuite) throws {
        let keys = try published.keys(suite)
        let mixed = try keys.mixed(with: preshared)
        func expected(_ key: SecretBytes) throws -> String {
            try hexadecimal(expanded(published.function, plain(preshared), plain(key), count: key.count))
        }
        #expect(try hexadecimal(mixed.derivation) == expected(keys.derivation))
        #expect(try hexadecimal(mixed.authenticationKey(.initiator)) == expected(keys.proofInitiator))
        #expect(try hexadecimal(mixed.authenticationKey(.responder)) == expected(keys.proofResponder))
        #expect(mixed.encryptionInitiator == keys.encryptionInitiator)
        #expect(mixed.encryptionResponder == keys.encryptionResponder)
        #expect(mixed.integrityInitiator == keys.integrityInitiator)
        #expect(mixed.integrityResponder == keys.integrityResponder)
    }

    /// SK_e stays with a preshared key, so the initialization vectors must go on where they were.
    @Test func noInitializationVectorIsUsedTwiceWithAPresharedKey() throws {
        let published = try #require(DerivedKeys.acvp.first)
        let keys = try published.keys(#require(IKECipherSuite(encryption: .aesGCM16(keyBits: 128))))
        let message = Message(
            header: IKEHeader(
                initiatorSPI: 1, responderSPI: 2, exchange: .authentication, direction: .request,
                isFromInitiator: true, messageID: 1), encryptedPayloads: [])
        let before = try message.sealed(with: keys.cipher(sender: .initiator))
        let mixed = try keys.mixed(with: preshared)
        let after = try message.sealed(with: mixed.cipher(sender: .initiator))
        #expect(before != after)
        #expect(try ReceivedMessage(decoding: after).open(with: keys.cipher(sender: .initiator)) == message)
    }

    // MARK: - Between IKE_SA_INIT and IKE_AUTH

    /// Both ends are done with IKE_SA_INIT, and nothing of IKE_AUTH has arrived.
    private func agreed() throws -> TwoSessions {
        let bench = TwoSessions()
        bench.tamper = { bytes, number in number <= 2 ? bytes : nil }
        bench.initiate()
        bench.pass(milliseconds: 500)
        for host in [bench.west, bench.east] { try #require(host.session?.phase.isAuthenticating == true) }
        bench.tamper = { bytes, _ in bytes }
        return bench
    }

    private func change(_ session: Session, _ body: (inout Authenticating) throws -> Void) throws {
        guard case .authenticating(var state) = session.phase else {
            Issue.record("no longer between IKE_SA_INIT and IKE_AUTH")
            return
        }
        try body(&state)
        session.lifecycle.agreedOnKeys(state, halfOpenUntil: session.lifecycle.halfOpenUntil)
    }

    /// The initiator makes its IKE_AUTH anew, under the same message id.
    private func authenticateAnew(_ bench: TwoSessions) throws {
        let session = try #require(bench.west.session)
        bench.west.perform(session) { session in
            session.step(bench.west.environment) { step in
                if var exchange = session.exchanges.finish() { exchange.abandoned(in: session, &step) }
                session.window.takeBack()
                session.exchanges.add(AuthenticationExchange(children: bench.connection.children, hint: nil))
            }
        }
    }

    private var contributions: [[KeyAgreement.Contribution]] {
        [
            [.keyExchange(second)], [.preshared(preshared)],
            [.keyExchange(second), .keyExchange(preshared), .preshared(second)],
        ]
    }

    @Test func authenticationGoesByTheKeysThatWereDerivedAgain() throws {
        for secrets in contributions {
            let bench = try agreed()
            for host in [bench.west, bench.east] {
                let session = try #require(host.session)
                for secret in secrets { try change(session) { try $0.rederiveKeys(with: secret) } }
            }
            try authenticateAnew(bench)
            bench.run()
            bench.expectJoined()
        }
    }

    @Test func oneSideAloneWithOtherKeysIsNotAuthenticated() throws {
        for secrets in contributions {
            let bench = try agreed()
            let session = try #require(bench.west.session)
            for secret in secrets { try change(session) { try $0.rederiveKeys(with: secret) } }
            try authenticateAnew(bench)
            bench.run()
            bench.pass(seconds: 40)
            bench.expectNothingLeft()
            #expect(bench.west.established.isEmpty && bench.east.established.isEmpty)
        }
    }

    /// The half-open time of the responder goes on, and the keys before are zeroed: nobody holds them.
    @Test func theOldKeysAreGone() throws {
        let bench = try agreed()
        let session = try #require(bench.east.session)
        let end = session.lifecycle.halfOpenUntil
        weak let derivation = session.phase.protection?.keys.derivation
        weak let encryption = session.phase.protection?.keys.encryptionInitiator
        weak let proof = session.phase.protection?.keys.proofInitiator
        #expect(derivation != nil && encryption != nil && proof != nil)
        try change(session) { try $0.rederiveKeys(with: .keyExchange(second)) }
        #expect(derivation == nil && encryption == nil && proof == nil)
        #expect(session.phase.isAuthenticating && session.lifecycle.halfOpenUntil == end && end != nil)
        weak let unmixed = session.phase.protection?.keys.proofInitiator
        weak let kept = session.phase.protection?.keys.encryptionInitiator
        try change(session) { try $0.rederiveKeys(with: .preshared(preshared)) }
        #expect(unmixed == nil && kept != nil)
    }

    // MARK: - Exchanges before IKE_AUTH

    private func awaiting(_ exchanges: [ExchangeType], like state: Authenticating) throws -> Authenticating {
        try Authenticating(
            state.agreement, secret: second, initialRequest: state.initialRequest,
            initialResponse: state.initialResponse, candidateSet: state.candidateSet,
            certificateRequests: state.certificateRequests, awaitedExchanges: exchanges)
    }

    /// Nothing of ours begins out of its turn.
    @Test func authenticationWaitsForTheExchangeBeforeIt() throws {
        let bench = try agreed()
        for host in [bench.west, bench.east] {
            try change(#require(host.session)) { $0 = try awaiting([.intermediate, .authentication], like: $0) }
        }
        let session = try #require(bench.west.session)
        bench.forgetTrace()
        try authenticateAnew(bench)
        #expect(bench.trace.isEmpty && session.exchanges.waitingNames == ["IKE_AUTH"])
        for host in [bench.west, bench.east] { try change(#require(host.session)) { $0.exchangeIsDone() } }
        bench.west.perform(session) { $0.step(bench.west.environment) { _ in } }
        bench.run()
        bench.expectJoined()
    }

    /// An IKE_AUTH of the peer out of its turn ends the negotiation.
    @Test func theResponderRefusesAuthenticationOutOfTurn() throws {
        let bench = try agreed()
        try change(#require(bench.west.session)) { $0 = try awaiting([.authentication], like: $0) }
        try change(#require(bench.east.session)) {
            $0 = try awaiting([.intermediate, .authentication], like: $0)
        }
        try authenticateAnew(bench)
        bench.run()
        #expect(bench.trace.last == "<-- IKE_AUTH response 1 [SK { N(INVALID_SYNTAX) }]")
        #expect(bench.east.failures.first?.details == ["IKE_AUTH is out of turn"])
        bench.expectNothingLeft()
    }

    /// What authenticates is never passed over.
    @Test func theLastExchangeStaysAwaited() throws {
        let bench = try agreed()
        try change(#require(bench.west.session)) { state in
            #expect(state.awaitedExchanges == [.authentication])
            state.exchangeIsDone()
            #expect(state.awaitedExchanges == [.authentication])
        }
    }
}
