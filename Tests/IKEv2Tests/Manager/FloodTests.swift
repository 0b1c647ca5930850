import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// What a flood of first requests may cost, and that peers that are configured do not feel it.
@Suite struct FloodTests {
    private static let costly = IKEProposal(
        encryption: [.aesGCM16(keyBits: 128)], functions: [.hmacSHA256], keyExchanges: [.modp4096])

    /// An IKE_SA_INIT request for MODP-4096.
    private func request(_ number: Int, value: [UInt8]) throws -> [UInt8] {
        let header = IKEHeader(
            initiatorSPI: UInt64(number) + 1, responderSPI: 0, exchange: .initial, direction: .request,
            isFromInitiator: true, messageID: 0)
        let nonce = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 8)) }
        return try Message(
            header: header,
            payloads: [
                .securityAssociation(IKENegotiation.offer([Self.costly], spi: nil)),
                .keyExchange(KeyExchangePayload(method: .modp4096, data: value)), .nonce(NoncePayload(nonce)),
            ]
        ).encoded()
    }

    private static let one = [UInt8](repeating: 0, count: 511) + [1]
    private static let two = [UInt8](repeating: 0, count: 511) + [2]

    private func path(from number: Int) -> Path {
        Path(
            local: Endpoint(ip("192.0.2.2"), port: 500),
            remote: Endpoint(IPAddress(ipv4: 0x0A64_0000 + UInt32(number)), port: 500))
    }

    /// Sun takes moon at its address, and anybody.
    private func pair(_ change: (inout ProtocolSettings) -> Void = { _ in }) -> MoonAndSun {
        var settings = ProtocolSettings()
        change(&settings)
        let pair = MoonAndSun(settings: settings)
        pair.load()
        var open = Connection.sunToMoon
        open.name = "anybody"
        open.remoteAddresses = []
        open.proposals = [Self.costly] + IKEProposal.default
        open.children = []
        pair.sun.manager.load([.sunToMoon, open], replacingAll: true, at: pair.now)
        return pair
    }

    /// Sends a request and, when it is answered with a cookie, once more with that.
    private func insist(_ pair: MoonAndSun, _ number: Int, from source: Int) throws {
        let path = path(from: source)
        let bytes = try request(number, value: Self.two)
        pair.sun.sent = []
        pair.sun.manager.receive(bytes, path: path, at: pair.now)
        guard let answer = pair.sun.sent.first,
            let cookie = try ReceivedMessage(decoding: answer).plainMessage?.notify(.cookie)
        else { return }
        var message = try #require(try ReceivedMessage(decoding: bytes).plainMessage)
        message.payloads.insert(.notify(cookie), at: 0)
        pair.sun.manager.receive(try message.encoded(), path: path, at: pair.now)
    }

    @Test func refusedRequestsCountTowardsCookies() throws {
        let pair = pair()
        for number in 0..<1000 {
            pair.sun.receive(try request(number, value: Self.one), path: path(from: number))
        }
        let counters = pair.sun.manager.counters
        #expect(counters.cookiesSent == 900)
        #expect(counters.responded == 0)
        #expect(counters.sessions == 0)
        // Moon is asked for nothing.
        #expect(pair.initiate("net", within: 2))
        #expect(pair.sun.manager.counters.cookiesAccepted == 0)
    }

    /// Each of them costs 5 ms; whoever shows cookies from 64 addresses gets a share, and a configured peer does not wait.
    @Test func strangersHaveAShareOfTheProcessor() throws {
        let pair = pair { $0.halfOpenTimeoutInSeconds = 300 }
        pair.sun.workOfEachStep = 5_000_000
        for number in 0..<500 { try insist(pair, number, from: number % 64) }
        let atOnce = pair.sun.manager.counters
        // Half of the reserve of 200 ms.
        #expect((20...22).contains(atOnce.responded))
        #expect(atOnce.refusedForTime > 400)
        #expect(pair.initiate("net", within: 2))
        pair.lab.run(seconds: 4)
        for number in 500..<1000 { try insist(pair, number, from: number % 64) }
        // Paid for meanwhile, and no more than the reserve is left.
        #expect((40...44).contains(pair.sun.manager.counters.responded - 1))
    }

    @Test func strangersCannotFillTheTable() throws {
        let pair = pair {
            $0.maximumHalfOpen = 16
            $0.cookieThreshold = 1000
        }
        for number in 0..<50 { pair.sun.receive(try request(number, value: Self.two), path: path(from: number)) }
        #expect(pair.sun.manager.counters.halfOpen == 8)
        #expect(pair.sun.manager.counters.refusedHalfOpen == 42)
        #expect(pair.initiate("net", within: 2))
        // Under load the strangers' time is short (RFC 8019 section 4.2): only the first ones had all of it.
        pair.lab.run(seconds: 6)
        #expect(pair.sun.manager.counters.halfOpen == 4)
    }

    /// A peer that is refused again and again takes no slot from others behind its address, and gets an answer each time.
    @Test func refusedPeersGiveTheirSlotBack() throws {
        var settings = ProtocolSettings()
        settings.maximumHalfOpenPerAddress = 2
        let pair = MoonAndSun(settings: settings)
        pair.load()
        pair.moon.manager.credentials.sharedKeys = [
            .init(name: "ike-other", owners: [], secret: .init(copying: Array("another secret".utf8)))
        ]
        for attempt in 0..<5 {
            #expect(!pair.initiate("net", within: 5))
            #expect(pair.sun.manager.counters.halfOpen == 0, "\(attempt)")
        }
        #expect(pair.sun.manager.counters.responded == 5)
        #expect(pair.sun.manager.counters.refusedHalfOpenPerAddress == 0)
        // Their answers wait to be repeated, and go when the time is over.
        #expect(pair.sun.manager.counters.sessions == 5)
        pair.lab.run(seconds: 60)
        #expect(pair.sun.manager.counters.sessions == 0)
    }

    /// The first answer to an address on our own link makes the kernel look for a neighbour, and remember it.
    @Test func answersToUnknownNeighboursAreFew() throws {
        let pair = pair()
        pair.sun.hasUnknownNeighbours = true
        for number in 0..<1000 {
            pair.sun.receive(try request(number, value: Self.one), path: path(from: number))
        }
        #expect((1...16).contains(pair.sun.manager.counters.sent))
        #expect(pair.sun.manager.counters.answersHeldBack >= 984)
        #expect(pair.initiate("net", within: 2))
        // Errors about unknown SAs go by the same limit.
        let before = pair.sun.manager.counters.sent
        for number in 0..<1000 {
            let header = IKEHeader(
                initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request,
                isFromInitiator: true, messageID: 7)
            pair.sun.receive(try Message(header: header).encoded(), path: path(from: number))
        }
        #expect(pair.sun.manager.counters.sent - before <= 4)
    }

    /// A peer that fails in IKE_AUTH again and again, and a stranger that names an identity nobody has among a hundred
    /// connections: the log stays small.
    @Test func failuresInAuthenticationDoNotFillTheLog() throws {
        let pair = MoonAndSun()
        pair.load()
        let connections = (0..<100).map { number in
            var connection = Connection.sunToMoon
            connection.name = "connection\(number)"
            connection.remote.identity = .domainName("peer\(number).example.org")
            return connection
        }
        pair.sun.manager.load(connections, replacingAll: true, at: pair.now)
        func failures() -> [Explanation] {
            pair.sun.events.compactMap { if case .session(.failed(let why)) = $0.event { why } else { nil } }
        }
        #expect(!pair.initiate("net", within: 5))
        let first = try #require(failures().first)
        #expect(first.description.contains("and 92 more connections"))
        #expect(first.description.count < 2000)
        for _ in 0..<100 { #expect(!pair.initiate("net", within: 0.1)) }
        #expect(failures().count < 80)
        #expect(pair.sun.manager.counters.responded == 101)
    }

    @Test func anAttemptThatWaitsIsCountedAndEnded() {
        let pair = MoonAndSun()
        pair.load { $0.keyingTries = 0 }
        pair.lab.loses = { _, _ in true }
        _ = pair.initiate("net", within: 1)
        let filter = SAFilter(connection: "sun")
        #expect(pair.lab.run(within: 300) { pair.moon.manager.waitingAttempts(matching: filter) == 1 })
        #expect(pair.moon.manager.statuses(matching: filter).isEmpty)
        #expect(pair.moon.manager.waitingAttempts(matching: SAFilter(connection: "other")) == 0)
        #expect(pair.terminate(filter) == 1)
        #expect(pair.moon.manager.waitingAttempts(matching: filter) == 0)
    }

    /// What the log could say of a refused request is found only when the log wants it.
    @Test func explanationsAreMadeOnDemand() throws {
        let environment = TestEnvironment(seed: 1)
        let message = try ReceivedMessage(decoding: try request(1, value: Self.one))
        var connection = Connection.sunToMoon
        for proposals in [[Self.costly], IKEProposal.default] {
            connection.proposals = proposals
            let (session, actions) = Session.respond(
                to: message, path: path(from: 1), candidates: [connection], environment: environment)
            #expect(session == nil)
            var explanations: [String] = []
            for action in actions {
                if case .explain(let explanation) = action { explanations.append(explanation().description) }
                if case .report(.failed) = action { Issue.record("made without being asked for") }
            }
            #expect(explanations.count == 1)
            #expect(explanations.first?.isEmpty == false)
        }
    }

    @Test func establishedAndNamedPeersAreKnown() throws {
        let pair = MoonAndSun()
        pair.load(sun: { $0.remoteAddresses = [.name("moon.example.org"), .range(prefix("192.0.2.0/24"))] })
        #expect(!pair.sun.manager.isKnown(ip("192.0.2.1")))
        let version = pair.sun.manager.knownAddressesVersion
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        #expect(pair.sun.manager.isKnown(ip("192.0.2.1")))
        #expect(pair.sun.manager.knownAddresses == [ip("192.0.2.1")])
        #expect(pair.sun.manager.knownAddressesVersion != version)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.lab.run(seconds: 1)
        #expect(!pair.sun.manager.isKnown(ip("192.0.2.1")))

        pair.lab.names["moon.example.org"] = [ip("192.0.2.1")]
        var named = Connection.sunToMoon
        named.remoteAddresses = [.name("moon.example.org")]
        pair.sun.manager.load([named], replacingAll: true, at: pair.now)
        pair.lab.run(seconds: 1)
        #expect(pair.sun.manager.isKnown(ip("192.0.2.1")))
    }
}

@Suite struct WorkBudgetTests {
    @Test func workIsPaidForAsTimeGoesBy() {
        var budget = WorkBudget(shareInPercent: 25, reserve: .milliseconds(100))
        #expect(budget.wait(at: 0) == .zero)
        budget.charge(.milliseconds(60), at: 0)
        #expect(budget.debt(at: 0) == .milliseconds(60))
        #expect(budget.hasRoom(at: 0, within: .whole) && !budget.hasRoom(at: 0, within: .half))
        budget.charge(.milliseconds(60), at: 0)
        #expect(!budget.hasRoom(at: 0, within: .whole))
        // 20 ms too much are paid for in 80.
        #expect((Duration.nanoseconds(80_000_000) ... .nanoseconds(80_000_100)).contains(budget.wait(at: 0)))
        #expect(budget.hasRoom(at: 80_000_004, within: .whole))
        #expect(budget.debt(at: 480_000_000) == .zero)
        // Nothing overflows.
        budget.charge(.nanoseconds(UInt64.max), at: 1)
        #expect(!budget.hasRoom(at: Instant(nanoseconds: 1 << 40), within: .whole))
    }
}

@Suite struct HalfOpenLimitsTests {
    private func slot(_ address: String, _ standing: PeerStanding = .stranger) -> HalfOpenLimits.Slot {
        HalfOpenLimits.Slot(address: ip(address), standing: standing)
    }

    /// Each case: neighbours that fill their networks, and which addresses have no room then with a share of 2.
    @Test(arguments: [
        (["10.0.0.1", "10.0.0.1"], full: ["10.0.0.1"], free: ["10.0.0.2", "10.0.1.1"]),
        ((1...8).map { "10.0.0.\($0)" }, full: ["10.0.0.9"], free: ["10.0.1.1"]),
        (["2001:db8::1", "2001:db8::2"], full: ["2001:db8::3"], free: ["2001:db8:0:1::1"]),
        ((0..<4).map { "2001:db8:0:\($0)::1" }, full: ["2001:db8:0:ff::1"], free: ["2001:db8:0:100::1"]),
        ((0..<8).map { "2001:db8:0:\($0)00::1" }, full: ["2001:db8:0:ff00::1"], free: ["2001:db8:1::1"]),
    ])
    func networksHaveShares(taken: [String], full: [String], free: [String]) {
        var limits = HalfOpenLimits()
        for address in taken { limits.add(slot(address)) }
        for address in full { #expect(limits.isFull(around: slot(address), share: 2), "\(address)") }
        for address in free { #expect(!limits.isFull(around: slot(address), share: 2), "\(address)") }
        for address in taken { limits.remove(slot(address)) }
        #expect(limits.total == 0)
        for address in full { #expect(!limits.isFull(around: slot(address), share: 2), "\(address)") }
    }

    @Test func aConfiguredAddressIsNoWorseForItsNeighbours() {
        var limits = HalfOpenLimits()
        for number in 1...8 { limits.add(slot("10.0.0.\(number)")) }
        #expect(!limits.isFull(around: slot("10.0.0.99", .known), share: 2))
        #expect(limits.isFull(around: slot("10.0.0.99"), share: 2))
    }
}

@Suite struct CandidateCacheTests {
    /// The cache finds what a search of all connections does.
    @Test func findsTheSameConnections() {
        var generator = SplitMix(state: 7)
        let addresses = (0..<64).map { IPAddress(ipv4: 0x0A00_0000 + $0) } + [ip("2001:db8::1")]
        for _ in 0..<50 {
            var table = ConnectionTable()
            var names = NameCache()
            let question = names.ask("peer.example.org", for: .recognition)
            _ = names.answer(question, [addresses[5]])
            table.set(
                (0..<8).map { number in
                    var connection = Connection.sunToMoon
                    connection.name = "\(number)"
                    connection.localAddresses = []
                    connection.remoteAddresses = (0..<Int(generator.next() % 3)).map { _ in
                        if generator.next() % 5 == 0 { return .name("peer.example.org") }
                        let ends = [generator.next() % 64, generator.next() % 64].sorted().map { addresses[Int($0)] }
                        let range = generator.next() % 2 == 0 ? AddressRange(ends[0]) : nil
                        return .range(range ?? AddressRange(first: ends[0], last: ends[1]) ?? AddressRange(ends[0]))
                    }
                    return connection
                })
            var cache = CandidateCache()
            for _ in 0..<2 {
                for address in addresses {
                    let path = Path(
                        local: Endpoint(ip("192.0.2.2"), port: 500), remote: Endpoint(address, port: 500))
                    let isNamed = table.names(address) || names.holds(address)
                    let found = cache.candidates(for: path, in: table, names: names, isNamed: isNamed)
                    let wanted = table.candidates(for: path, resolved: names.addresses)
                    #expect(found.connections.map(\.name) == wanted.map(\.name), "\(address)")
                }
            }
        }
    }

    /// Strangers to whom the same connections apply get one set, however many connections there are.
    @Test func strangersShareASet() {
        var table = ConnectionTable()
        table.set(
            (0..<100).map { number in
                var connection = Connection.sunToMoon
                connection.name = "\(number)"
                connection.remoteAddresses = []
                return connection
            })
        var cache = CandidateCache()
        let sets = (0..<100).map { number in
            let remote = Endpoint(IPAddress(ipv4: 0x0A00_0000 + UInt32(number)), port: 500)
            return cache.candidates(
                for: Path(local: Endpoint(ip("192.0.2.2"), port: 500), remote: remote), in: table, names: NameCache(),
                isNamed: false)
        }
        #expect(sets.allSatisfy { $0 === sets[0] })
        #expect(sets[0].connections.count == 100)
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
