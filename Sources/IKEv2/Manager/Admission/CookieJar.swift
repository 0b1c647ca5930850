import Cryptography
import Packets

/// Cookies for peers that have to prove that they receive at their address, made and checked without remembering
/// anything of a peer (RFC 7296 section 2.6):
///
///     cookie = number of the secret (1) | HMAC-SHA-256(secret, SPIi | IPi | Ni)
///
/// The secret changes every `period`; the one before is honoured as long again.
struct CookieJar {
    /// The time that a secret makes cookies.
    static let period = Duration.seconds(60)

    private struct Secret {
        var number: UInt8
        var key: SecretBytes
        var madeAt: Instant
    }

    private var current: Secret?
    private var previous: Secret?

    /// The cookie for a request; nil when the library fails.
    mutating func cookie(nonce: [UInt8], initiatorSPI: UInt64, from address: IPAddress, at now: Instant) -> [UInt8]? {
        rotate(at: now)
        return current.flatMap { Self.bake($0, nonce: nonce, initiatorSPI: initiatorSPI, address: address) }
    }

    /// Whether `cookie` was made for a request from there, not too long ago.
    mutating func accepts(
        _ cookie: [UInt8], nonce: [UInt8], initiatorSPI: UInt64, from address: IPAddress, at now: Instant
    ) -> Bool {
        rotate(at: now)
        guard let number = cookie.first else { return false }
        for secret in [current, previous] {
            guard let secret, secret.number == number,
                let expected = Self.bake(secret, nonce: nonce, initiatorSPI: initiatorSPI, address: address)
            else { continue }
            // Compared in constant time, so that no cookie can be guessed byte by byte.
            return SecretBytes(copying: expected) == SecretBytes(copying: cookie)
        }
        return false
    }

    private mutating func rotate(at now: Instant) {
        if let current, now < current.madeAt + Self.period { return }
        // After a long silence the last secret is too old even as the one before.
        previous = current.flatMap { now < $0.madeAt + Self.period * 2 ? $0 : nil }
        let number = (current?.number ?? 0) &+ 1
        current = (try? SecretBytes.random(count: 32)).map { Secret(number: number, key: $0, madeAt: now) }
    }

    private static func bake(
        _ secret: Secret, nonce: [UInt8], initiatorSPI: UInt64, address: IPAddress
    ) -> [UInt8]? {
        var input: [UInt8] = []
        for part in [initiatorSPI, address.high, address.low, UInt64(address.family.rawValue)] {
            withUnsafeBytes(of: part.bigEndian) { input += $0 }
        }
        input += nonce
        guard let tag = try? PRF.hmacSHA256.compute(key: secret.key, .bytes(input)) else { return nil }
        return [secret.number] + tag.withUnsafeBytes { Array($0) }
    }
}
