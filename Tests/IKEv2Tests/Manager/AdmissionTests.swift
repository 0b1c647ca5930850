import IKEv2
import IKEv2Messages
import IPsec
import Packets
import Testing

/// Strangers and attackers: what they can make us do is limited, and counted.
@Suite struct AdmissionTests {
    /// An IKE_SA_INIT request of moon's, caught on its way.
    private func request(_ pair: MoonAndSun) throws -> [UInt8] {
        pair.lab.loses = { _, path in path.local.address == pair.sun.address }
        pair.moon.manager.initiate(connection: "sun", child: "net", at: pair.now) { _ in }
        pair.lab.run(seconds: 0.05)
        let received = try #require(pair.sun.lastReceived)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.lab.run(seconds: 60)
        pair.lab.loses = { _, _ in false }
        #expect(pair.sun.manager.counters.halfOpen == 0)
        return received.datagram
    }

    /// The same request with another SPI, from a made-up address.
    private func forgery(_ request: [UInt8], number: Int, from address: IPAddress? = nil) -> (
        bytes: [UInt8], path: Path
    ) {
        var bytes = request
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: (number + 1) >> (8 * index)) }
        let source = address ?? IPAddress(ipv4: 0x0A64_0000 + UInt32(number))
        let path = Path(local: Endpoint(ip("192.0.2.2"), port: 500), remote: Endpoint(source, port: 500))
        return (bytes, path)
    }

    private var open: (inout Connection) -> Void {
        { $0.remoteAddresses = [] }
    }

    @Test func aFloodOfForgedRequestsLeavesNoMoreStateThanTheThreshold() throws {
        let pair = MoonAndSun()
        pair.load(sun: open)
        let request = try request(pair)
        for number in 0..<5000 {
            let (bytes, path) = forgery(request, number: number)
            pair.sun.receive(bytes, path: path)
        }
        let counters = pair.sun.manager.counters
        #expect(counters.halfOpen == pair.sun.settings.cookieThreshold)
        #expect(counters.cookiesSent == 5000 - UInt64(pair.sun.settings.cookieThreshold))
        // A real peer shows its cookie and gets in.
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        #expect(pair.sun.manager.counters.cookiesAccepted == 1)
        // The forged ones time out.
        pair.lab.run(seconds: 60)
        #expect(pair.sun.manager.counters.halfOpen == 0)
        #expect(pair.sun.manager.counters.halfOpenTimeouts >= 32)
        #expect(pair.sun.manager.counters.sessions == 1)
    }

    @Test func oneAddressCannotHaveMoreThanItsShare() throws {
        var settings = ProtocolSettings()
        settings.maximumHalfOpenPerAddress = 4
        let pair = MoonAndSun(settings: settings)
        pair.load(sun: open)
        let request = try request(pair)
        for number in 0..<10 {
            let (bytes, path) = forgery(request, number: number, from: ip("198.51.100.7"))
            pair.sun.receive(bytes, path: path)
        }
        #expect(pair.sun.manager.counters.halfOpen == 4)
        #expect(pair.sun.manager.counters.refusedHalfOpenPerAddress == 6)
        #expect(pair.initiate("net"))
    }

    @Test func thereIsALimitOfAllHalfOpenOnes() throws {
        var settings = ProtocolSettings()
        settings.maximumHalfOpen = 8
        settings.cookieThreshold = 1000
        let pair = MoonAndSun(settings: settings)
        pair.load(sun: open)
        let request = try request(pair)
        for number in 0..<20 {
            let (bytes, path) = forgery(request, number: number)
            pair.sun.receive(bytes, path: path)
        }
        // Strangers have half of the slots; the other half is for peers that are configured.
        #expect(pair.sun.manager.counters.halfOpen == 4)
        #expect(pair.sun.manager.counters.refusedHalfOpen == 16)
    }

    @Test func thereIsALimitOfAllIKESAs() throws {
        var settings = ProtocolSettings()
        settings.maximumSessions = 0
        let pair = MoonAndSun(settings: settings)
        pair.load()
        #expect(!pair.initiate("net"))
        #expect(pair.sun.manager.counters.refusedSessions > 0)
    }

    @Test func aRepeatedRequestGetsTheSameAnswerAndNoNewState() throws {
        let pair = MoonAndSun()
        pair.load(sun: open)
        let request = try request(pair)
        let (bytes, path) = forgery(request, number: 1)
        pair.sun.receive(bytes, path: path)
        let responded = pair.sun.manager.counters.responded
        let sent = pair.sun.manager.counters.sent
        pair.sun.receive(bytes, path: path)
        #expect(pair.sun.manager.counters.responded == responded)
        #expect(pair.sun.manager.counters.sent == sent + 1)
        #expect(pair.sun.manager.counters.halfOpen == 1)
    }

    @Test func aWrongCookieIsAnsweredWithARightOne() throws {
        var settings = ProtocolSettings()
        settings.cookieThreshold = 0
        let pair = MoonAndSun(settings: settings)
        pair.load()
        #expect(pair.initiate("net"))
        pair.lab.run(seconds: 1)
        pair.expectTunnel()
        // moon's second request had the cookie.
        #expect(pair.sun.manager.counters.cookiesAccepted == 1)
        #expect(pair.sun.manager.counters.cookiesSent == 1)
        #expect(pair.sun.manager.counters.cookiesRejected == 0)
        // The same from elsewhere is not let in, nor is one with another cookie.
        let withCookie = try #require(pair.sun.initialRequests.last)
        let (_, elsewhere) = forgery(withCookie.datagram, number: 1)
        pair.sun.receive(withCookie.datagram, path: elsewhere)
        var wrong = withCookie.datagram
        wrong[40] ^= 1
        pair.sun.receive(wrong, path: withCookie.path)
        #expect(pair.sun.manager.counters.cookiesAccepted == 1)
        #expect(pair.sun.manager.counters.cookiesSent == 3)
        #expect(pair.sun.manager.counters.cookiesRejected == 2)
        #expect(pair.sun.manager.counters.sessions == 1)
    }

    @Test func aPeerThatNoConnectionIsForIsRefused() {
        let pair = MoonAndSun()
        pair.load(sun: { $0.remoteAddresses = [.range(AddressRange(ip("203.0.113.1")))] })
        #expect(!pair.initiate("net"))
        #expect(pair.sun.manager.counters.withoutConnection >= 1)
        #expect(pair.sun.manager.counters.responded == 0)
        pair.expectNothingLeft()
    }

    @Test func requestsForUnknownSAsAreAnsweredRarely() throws {
        let pair = MoonAndSun()
        pair.load()
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request, isFromInitiator: true,
            messageID: 7)
        let bytes = try Message(header: header).encoded()
        let path = Path(
            local: Endpoint(pair.sun.address, port: 500), remote: Endpoint(pair.moon.address, port: 500))
        for _ in 0..<1000 { pair.sun.receive(bytes, path: path) }
        let counters = pair.sun.manager.counters
        #expect(counters.unknownSPI == 1000)
        #expect((1...25).contains(counters.unprotectedErrorsSent))
        #expect(counters.unprotectedErrorsSent + counters.unprotectedErrorsSuppressed == 1000)
        pair.lab.run(seconds: 1)
        let answer = try ReceivedMessage(decoding: try #require(pair.moon.lastReceived).datagram)
        #expect(answer.plainMessage?.has(.invalidIKESPI) == true)
        #expect(answer.header == header.response())
        // A response is never answered, or two gateways would go on for ever.
        #expect(pair.moon.manager.counters.sent == 0)
    }

    /// INVALID_SPI without protection is a message of one way: an answer could go round in a loop (RFC 7296 section 1.5).
    @Test func aNoticeOutsideOfAnyIKESAIsNotAnswered() throws {
        let pair = MoonAndSun()
        pair.load()
        let path = Path(
            local: Endpoint(pair.sun.address, port: 500), remote: Endpoint(pair.moon.address, port: 500))
        for spi: UInt64 in [0, 7] {
            let header = IKEHeader(
                initiatorSPI: spi, responderSPI: spi, exchange: .informational, direction: .request,
                isFromInitiator: true, messageID: 0)
            let notice = NotifyPayload(.invalidSPI, data: [1, 2, 3, 4])
            pair.sun.receive(try Message(header: header, payloads: [.notify(notice)]).encoded(), path: path)
        }
        #expect(pair.sun.manager.counters.unknownSPI == 2)
        #expect(pair.sun.manager.counters.sent == 0)
    }

    /// RFC 7296 section 2.5: a request with an unknown critical payload is refused by name, from the first on.
    @Test func anUnknownCriticalPayloadInTheFirstRequestIsNamed() throws {
        let pair = MoonAndSun()
        pair.load()
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 0, exchange: .initial, direction: .request, isFromInitiator: true,
            messageID: 0)
        let payload = UnknownPayload(type: PayloadType(rawValue: 99), data: [1])
        var bytes = try Message(header: header, payloads: [.unknown(payload)]).encoded()
        bytes[29] |= 0x80
        let path = Path(
            local: Endpoint(pair.sun.address, port: 500), remote: Endpoint(pair.moon.address, port: 500))
        for _ in 0..<1000 { pair.sun.receive(bytes, path: path) }
        #expect((1...25).contains(pair.sun.manager.counters.sent))
        #expect(pair.sun.manager.counters.malformed == 1000)
        pair.lab.run(seconds: 1)
        let answer = try ReceivedMessage(decoding: try #require(pair.moon.lastReceived).datagram)
        #expect(answer.header == header.response())
        #expect(answer.plainMessage?.notify(.unsupportedCriticalPayload)?.data == [99])
        #expect(pair.sun.manager.counters.sessions == 0)
    }

    /// Half-open negotiations keep their first request: nobody needs one as long as a datagram can be.
    @Test func aFirstRequestOfUnlikelyLengthIsDropped() throws {
        let pair = MoonAndSun()
        pair.load(sun: open)
        let request = try ReceivedMessage(decoding: try request(pair))
        for (length, sessions) in [(8000, 1), (9000, 1), (60_000, 1)] {
            let padding = Payload.vendorID(VendorIDPayload([UInt8](repeating: 1, count: length - request.bytes.count)))
            let bytes = try Message(header: request.header, payloads: request.payloads + [padding]).encoded()
            let (_, path) = forgery(bytes, number: 1)
            pair.sun.receive(bytes, path: path)
            #expect(pair.sun.manager.counters.sessions == sessions, "\(length)")
        }
        #expect(pair.sun.manager.counters.malformed == 2)
    }

    /// Same SPI, same address, another message: that is no repetition (RFC 7296 section 2.1).
    @Test func anotherRequestWithTheSameSPIIsANegotiationOfItsOwn() throws {
        let pair = MoonAndSun()
        pair.load(sun: open)
        let request = try request(pair)
        var (bytes, path) = forgery(request, number: 1)
        pair.sun.receive(bytes, path: path)
        let responded = pair.sun.manager.counters.responded
        // The last byte is of SIGNATURE_HASH_ALGORITHMS.
        bytes[bytes.count - 1] ^= 0x40
        pair.sun.receive(bytes, path: path)
        pair.sun.receive(bytes, path: path)
        #expect(pair.sun.manager.counters.responded == responded + 1)
        #expect(pair.sun.manager.counters.halfOpen == 2)
    }

    /// A flood of strangers' messages does not become a flood of log lines, whether they are asked for a cookie or
    /// refused.
    @Test(arguments: [32, 100_000]) func strangersDoNotFillTheLog(cookieThreshold: Int) throws {
        var settings = ProtocolSettings()
        settings.cookieThreshold = cookieThreshold
        let pair = MoonAndSun(settings: settings)
        pair.load(sun: {
            $0.remoteAddresses = []
            if cookieThreshold > 5000 {
                $0.proposals = [
                    IKEProposal(
                        encryption: [.aesGCM16(keyBits: 192)], functions: [.hmacSHA512], keyExchanges: [.x448])
                ]
            }
        })
        let request = try request(pair)
        let before = pair.sun.events.count
        for number in 0..<5000 {
            let (bytes, path) = forgery(request, number: number)
            pair.sun.receive(bytes, path: path)
        }
        #expect(pair.sun.manager.counters.sent > 4000)
        #expect(pair.sun.manager.counters.halfOpen == (cookieThreshold > 5000 ? 0 : cookieThreshold))
        #expect(pair.sun.events.count - before < 500)
        // Later there is room again.
        pair.lab.run(seconds: 60)
        let quiet = pair.sun.events.count
        let (bytes, path) = forgery(request, number: 6000)
        pair.sun.receive(bytes, path: path)
        #expect(pair.sun.events.count > quiet)
    }

    @Test func aLaterVersionIsToldOurs() throws {
        let pair = MoonAndSun()
        pair.load()
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 0, exchange: .initial, direction: .request, isFromInitiator: true,
            messageID: 0)
        var bytes = try Message(header: header).encoded()
        bytes[17] = 0x30
        let path = Path(
            local: Endpoint(pair.sun.address, port: 500), remote: Endpoint(pair.moon.address, port: 500))
        pair.sun.receive(bytes, path: path)
        pair.lab.run(seconds: 1)
        let answer = try ReceivedMessage(decoding: try #require(pair.moon.lastReceived).datagram)
        #expect(answer.plainMessage?.has(.invalidMajorVersion) == true)
        #expect(pair.sun.manager.counters.wrongVersion == 1)
    }

    @Test func rubbishIsCounted() {
        let pair = MoonAndSun()
        pair.load()
        let path = Path(
            local: Endpoint(pair.sun.address, port: 500), remote: Endpoint(pair.moon.address, port: 500))
        for length in 0..<100 {
            pair.sun.receive([UInt8](repeating: 0x22, count: length), path: path)
        }
        let counters = pair.sun.manager.counters
        #expect(counters.malformed + counters.unknownSPI + counters.wrongVersion == 100)
        #expect(counters.sessions == 0)
    }
}
