import Cryptography
import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// What is told of negotiations that come to nothing: enough, once, and not as an error where none is.
@Suite struct RefusalRecordTests {
    private func failures(_ host: LabHost) -> [Explanation] {
        host.events.compactMap { if case .session(.failed(let why)) = $0.event { why } else { nil } }
    }

    private func notes(_ host: LabHost, _ level: NoteLevel) -> [String] {
        host.events.compactMap { event in
            switch event.event {
            case .note(level, let text), .session(.note(level, let text)): text
            default: nil
            }
        }
    }

    /// What is left of a peer that was refused repeats an answer, and is no IKE SA.
    @Test func aRefusedPeerIsNotListed() {
        let pair = MoonAndSun()
        pair.load(sun: { $0.remote.identity = .domainName("somebody.else") })
        #expect(!pair.initiate("net", within: 5))
        #expect(pair.sun.manager.counters.sessions == 1)
        #expect(pair.sun.manager.statuses().isEmpty)
        #expect(pair.sun.manager.statuses(matching: SAFilter()).isEmpty)
        #expect(pair.moon.manager.statuses().isEmpty)
        pair.expectOrder()
    }

    @Test func anotherGroupIsNoFailure() {
        let pair = MoonAndSun()
        func proposals(_ groups: KeyExchangeMethod...) -> [IKEProposal] {
            [IKEProposal(encryption: [.aesGCM16(keyBits: 128)], functions: [.hmacSHA256], keyExchanges: groups)]
        }
        pair.bringUp({ $0.proposals = proposals(.x25519, .ecp256) }, sun: { $0.proposals = proposals(.ecp256) })
        #expect(failures(pair.sun).isEmpty && failures(pair.moon).isEmpty)
        #expect(notes(pair.sun, .debug).contains { $0.contains("was asked for") })
        #expect(notes(pair.sun, .warning).isEmpty && notes(pair.moon, .warning).isEmpty)
    }

    /// At most 50 a second, in the words of the decoder.
    @Test func malformedMessagesLeaveDebugRecords() throws {
        let pair = MoonAndSun()
        pair.load()
        let path = Path(local: Endpoint(ip("192.0.2.2"), port: 500), remote: Endpoint(ip("192.0.2.1"), port: 500))
        pair.sun.manager.receive([1, 2, 3], path: path, at: pair.now)
        #expect(notes(pair.sun, .debug).last?.contains("3 bytes from 192.0.2.1:500 are not an IKE message") == true)
        _ = pair.initiate("net", within: 1)
        var request = try #require(pair.sun.initialRequests.first?.datagram)
        request[7] ^= 1
        // The first payload is longer than the message.
        request[30] = 0xff
        pair.sun.manager.receive(request, path: path, at: pair.now)
        #expect(notes(pair.sun, .debug).last?.contains("is malformed: ") == true)
        let before = notes(pair.sun, .debug).count
        for _ in 0..<1000 { pair.sun.manager.receive([1, 2, 3], path: path, at: pair.now) }
        #expect((100...250).contains(notes(pair.sun, .debug).count - before))
    }

    /// One peer that fails again and again does not keep others' failures out of the log.
    @Test func recordsAreLimitedByAddress() throws {
        let pair = MoonAndSun()
        pair.load(sun: { $0.remote.identity = .domainName("somebody.else") })
        for _ in 0..<30 { _ = pair.initiate("net", within: 0.1) }
        #expect((5...9).contains(failures(pair.sun).count), "\(failures(pair.sun).count)")
        let mars = pair.lab.addHost("192.0.2.3")
        mars.manager.credentials.sharedKeys = [.lab]
        var connection = Connection.between(
            "mars", "192.0.2.3", "10.1.0.0/16", "sun", "192.0.2.2", "10.2.0.0/16")
        connection.remoteAddresses = [.range(AddressRange(ip("192.0.2.2")))]
        mars.manager.load([connection], replacingAll: true, at: pair.now)
        var sun = Connection.sunToMoon
        sun.remote.identity = .domainName("somebody.else")
        sun.remoteAddresses = []
        pair.sun.manager.load([sun], replacingAll: true, at: pair.now)
        let before = failures(pair.sun).count
        mars.manager.initiate(connection: "sun", child: "net", at: pair.now) { _ in }
        pair.lab.run(seconds: 1)
        #expect(failures(pair.sun).count == before + 1)
    }

    @Test func addressLimitsDoNotGrow() {
        var limiter = AddressLimiter(perSecond: 1, burst: 2)
        func allows(_ address: String, second: Int = 0, and other: Bool = true) -> Bool {
            limiter.allow(ip(address), now: .start + .seconds(second)) { other }
        }
        #expect(allows("192.0.2.1") && allows("192.0.2.1"))
        #expect(!allows("192.0.2.1"))
        #expect(!allows("192.0.2.2", and: false))
        #expect(limiter.count == 1)
        // One host has a whole /64.
        #expect(allows("2001:db8::1") && allows("2001:db8::2"))
        #expect(!allows("2001:db8::3"))
        #expect(allows("192.0.2.1", second: 1))
        for number in 0..<3000 { _ = limiter.allow(IPAddress(ipv4: 0x0A00_0000 + UInt32(number)), now: 2_000_000_000) }
        #expect(limiter.count == AddressLimiter.capacity)
        // Those that have been quiet make room.
        #expect(allows("198.51.100.1", second: 10))
        #expect(limiter.count == 1)
    }

    /// An attempt between two tries can be ended by its child too.
    @Test func terminatingAChildEndsTheAttemptThatWaitsForIt() {
        let pair = MoonAndSun()
        pair.load {
            $0.keyingTries = 0
            $0.children.append(.between("other", "10.3.0.0/16", "10.4.0.0/16"))
        }
        pair.lab.loses = { _, _ in true }
        var outcomes: [String] = []
        for name in ["net", "other"] {
            pair.moon.manager.initiate(connection: "sun", child: name, at: pair.now) { _ in outcomes.append(name) }
        }
        let filter = SAFilter(connection: "sun", child: "net")
        #expect(pair.lab.run(within: 300) { pair.moon.manager.waitingAttempts(matching: filter) == 1 })
        #expect(pair.terminate(filter) == 1)
        #expect(pair.moon.manager.waitingAttempts(matching: filter) == 0)
        #expect(pair.moon.manager.waitingAttempts(matching: SAFilter(child: "other")) == 1)
        #expect(pair.terminate(SAFilter(child: "other")) == 1)
        #expect(pair.moon.manager.waitingAttempts(matching: SAFilter(connection: "sun")) == 0)
        #expect(Set(outcomes) == ["net", "other"])
        #expect(pair.terminate(filter) == nil)
    }

    /// Whatever fits the addresses or the selectors is compared, not the first alone.
    @Test func whatDiffersIsSaidOfEveryCandidate() throws {
        let pair = MoonAndSun()
        let weak = [
            IKEProposal(encryption: [.aesGCM16(keyBits: 128)], functions: [.hmacSHA256], keyExchanges: [.x25519])
        ]
        let strong = [
            IKEProposal(encryption: [.aesGCM16(keyBits: 256)], functions: [.hmacSHA384], keyExchanges: [.ecp384])
        ]
        let other = [
            IKEProposal(encryption: [.aesGCM16(keyBits: 256)], functions: [.hmacSHA512], keyExchanges: [.ecp521])
        ]
        pair.load({ $0.proposals = weak }, sun: { $0.proposals = strong })
        var second = Connection.sunToMoon
        second.name = "second"
        second.proposals = other
        pair.sun.manager.load([second], replacingAll: false, at: pair.now)
        #expect(!pair.initiate("net", within: 30))
        let why = try #require(failures(pair.sun).first)
        #expect(why.details.contains { $0.contains("differs from") && $0.contains("ecp384") }, "\(why)")
        #expect(why.details.contains { $0.hasPrefix("connection second:") && $0.contains("ecp521") }, "\(why)")
    }

    @Test func whatDiffersIsSaidOfEveryChild() throws {
        let pair = MoonAndSun()
        pair.load {
            $0.children[0].proposals = [ChildProposal(encryption: [.aesGCM(keyBits: 128, icvBytes: 16)])]
        } sun: {
            $0.children[0].proposals = [ChildProposal(encryption: [.aesGCM(keyBits: 256, icvBytes: 16)])]
            $0.children.append(.between("wide", "10.2.0.0/16", "10.0.0.0/8"))
            $0.children[1].proposals = [ChildProposal(encryption: [.chaCha20Poly1305])]
        }
        #expect(!pair.initiate("net", within: 30))
        let why = pair.sun.events.compactMap { event -> Explanation? in
            if case .session(.childFailed(_, let why)) = event.event { why } else { nil }
        }.first
        #expect(
            why?.details.contains { $0.contains("differs from") && $0.contains("aes256gcm16") } == true, "\(why as Any)"
        )
        #expect(
            why?.details.contains { $0.hasPrefix("child wide:") && $0.contains("chacha20") } == true, "\(why as Any)")
    }
}

/// Windows, macOS and mobile clients ask for an address, and end the IKE SA when they get none.
@Suite struct ConfigurationRequestTests {
    @Test(arguments: [true, false]) func aRequestForAnAddressIsSaidOnce(asks: Bool) throws {
        let bench = TwoSessions()
        bench.tamper = { bytes, number in number == 3 ? nil : bytes }
        bench.initiate()
        bench.pass(milliseconds: 500)
        let payloads = try #require(bench.contents(of: 3))
        let request = Payload.configuration(
            ConfigurationPayload(type: .request, attributes: [.init(.ip4Address)]))
        bench.injectProtected(
            to: bench.east, .authentication, .request, messageID: 1, payloads + (asks ? [request] : []))
        #expect(bench.east.session?.isEstablished == true)
        #expect(bench.east.notes.count { $0.contains("CFG_REQUEST") } == (asks ? 1 : 0), "\(bench.east.notes)")
    }
}
