import Packets
import Testing

@testable import IKEv2

@Suite struct CookieTests {
    /// A jar that may be asked within an expectation.
    private final class Jar {
        private var jar = CookieJar()

        func cookie(_ nonce: [UInt8], spi: UInt64, _ address: IPAddress, at now: Instant) -> [UInt8]? {
            jar.cookie(nonce: nonce, initiatorSPI: spi, from: address, at: now)
        }

        func accepts(_ cookie: [UInt8], _ nonce: [UInt8], spi: UInt64, _ address: IPAddress, at now: Instant) -> Bool {
            jar.accepts(cookie, nonce: nonce, initiatorSPI: spi, from: address, at: now)
        }
    }

    private let nonce = [UInt8](repeating: 7, count: 32)
    private let peer = IPAddress(ipv4: 0xC000_0201)

    @Test func aCookieIsGoodForItsRequestOnly() throws {
        let jar = Jar()
        let cookie = try #require(jar.cookie(nonce, spi: 1, peer, at: 0))
        #expect((1...64).contains(cookie.count))
        #expect(jar.accepts(cookie, nonce, spi: 1, peer, at: 0))
        #expect(!jar.accepts(cookie, nonce, spi: 2, peer, at: 0))
        #expect(!jar.accepts(cookie, Array(nonce.dropLast()) + [8], spi: 1, peer, at: 0))
        #expect(!jar.accepts(cookie, nonce, spi: 1, IPAddress(ipv4: 0xC000_0202), at: 0))
        #expect(!jar.accepts(Array(cookie.dropLast()), nonce, spi: 1, peer, at: 0))
        #expect(!jar.accepts([], nonce, spi: 1, peer, at: 0))
    }

    @Test func theSecretChanges() throws {
        let jar = Jar()
        let first = try #require(jar.cookie(nonce, spi: 1, peer, at: 0))
        let second = try #require(jar.cookie(nonce, spi: 1, peer, at: .start + CookieJar.period))
        #expect(first != second)
        // The one before is honoured as long again.
        #expect(jar.accepts(first, nonce, spi: 1, peer, at: .start + CookieJar.period * 2 - .nanoseconds(1)))
        #expect(!jar.accepts(first, nonce, spi: 1, peer, at: .start + CookieJar.period * 2))
        #expect(jar.accepts(second, nonce, spi: 1, peer, at: .start + CookieJar.period * 2))
    }

    @Test func anOldSecretIsForgottenAfterSilence() throws {
        let jar = Jar()
        let cookie = try #require(jar.cookie(nonce, spi: 1, peer, at: 0))
        #expect(!jar.accepts(cookie, nonce, spi: 1, peer, at: .start + CookieJar.period * 10))
    }
}
