import Cryptography
import Testing

@Suite struct KeyExchangeTests {
    @Test(arguments: PublishedKeyExchange.all)
    func agreesWithPublishedVectors(published: PublishedKeyExchange) throws {
        let secrets = [published.initiator, published.responder].map { SecretBytes(copying: bytes($0)) }
        let initiator = try KeyExchange(published.method, privateValue: secrets[0])
        let responder = try KeyExchange(published.method, privateValue: secrets[1])
        #expect(hexadecimal(initiator.publicValue) == published.initiatorPublic)
        #expect(hexadecimal(responder.publicValue) == published.responderPublic)
        let shared = SecretBytes(copying: bytes(published.secret))
        #expect(try initiator.finish(with: responder.publicValue) == shared)
        #expect(try responder.finish(with: initiator.publicValue) == shared)
    }

    @Test(arguments: KeyExchangeMethod.allCases)
    func bothSidesAgreeAndEveryValueIsFresh(method: KeyExchangeMethod) throws {
        let sides = try (0..<3).map { _ in try KeyExchange.initiate(method) }
        for side in sides { #expect(side.publicValue.count == method.publicValueLength) }
        #expect(Set(sides.map(\.publicValue)).count == 3)
        let secret = try sides[0].finish(with: sides[1].publicValue)
        #expect(secret.count == method.sharedSecretLength)
        #expect(try sides[1].finish(with: sides[0].publicValue) == secret)
        #expect(try sides[2].finish(with: sides[0].publicValue) != secret)
    }

    @Test(arguments: KeyExchangeMethod.allCases)
    func theResponderAnswersTheValueOfTheInitiator(method: KeyExchangeMethod) throws {
        let initiator = try KeyExchange.initiate(method)
        let value = try PeerPublicValue(method, initiator.publicValue)
        let answers = try (0..<2).map { _ in try KeyExchange.respond(to: value) }
        for answer in answers { #expect(try initiator.finish(with: answer.value) == answer.secret) }
        #expect(answers[0].value != answers[1].value && answers[0].secret != answers[1].secret)
    }

    @Test(arguments: KeyExchangeMethod.allCases)
    func refusesWrongLengths(method: KeyExchangeMethod) throws {
        let side = try KeyExchange.initiate(method)
        for count in [0, 1, method.publicValueLength - 1, method.publicValueLength + 1] {
            let problem = KeyExchangeError.publicValueLength(
                method: method, expected: method.publicValueLength, actual: count)
            #expect(throws: problem) { try side.finish(with: [UInt8](repeating: 2, count: count)) }
        }
    }

    /// RFC 6989 section 2.1: 1 < r < p-1.
    @Test(arguments: [KeyExchangeMethod.modp2048, .modp3072, .modp4096])
    func refusesPublicValuesOutOfRange(method: KeyExchangeMethod) throws {
        let side = try KeyExchange.initiate(method)
        let length = method.publicValueLength
        let zero = [UInt8](repeating: 0, count: length)
        var (one, two) = (zero, zero)
        one[length - 1] = 1
        two[length - 1] = 2
        let prime = bytes(try #require(publishedPrimes[method]))
        var belowPrime = prime
        belowPrime[length - 1] -= 1
        for bad in [zero, one, belowPrime, prime, [UInt8](repeating: 0xff, count: length)] {
            #expect(performing: { try side.finish(with: bad) }, throws: isInvalidPublicValue)
        }
        // The generator is the smallest value that is right: g^x is our own public value.
        #expect(try side.finish(with: two) == SecretBytes(copying: side.publicValue))
    }

    /// RFC 6989 section 2.3.
    @Test(arguments: [KeyExchangeMethod.ecp256, .ecp384, .ecp521])
    func refusesPointsOffTheCurve(method: KeyExchangeMethod) throws {
        let (side, other) = (try KeyExchange.initiate(method), try KeyExchange.initiate(method))
        var moved = other.publicValue
        moved[moved.count - 1] ^= 1
        let zero = [UInt8](repeating: 0, count: method.publicValueLength)
        let ones = [UInt8](repeating: 0xff, count: method.publicValueLength)
        for bad in [moved, zero, ones] {
            #expect(performing: { try side.finish(with: bad) }, throws: isInvalidPublicValue)
        }
    }

    /// RFC 8031 section 4.2 by way of RFC 7748 section 6: the secret would be zero.
    @Test(arguments: [KeyExchangeMethod.x25519, .x448], [0, 1] as [UInt8])
    func refusesSmallOrders(method: KeyExchangeMethod, low: UInt8) throws {
        var point = [UInt8](repeating: 0, count: method.publicValueLength)
        point[0] = low
        let side = try KeyExchange.initiate(method)
        #expect(performing: { try side.finish(with: point) }, throws: isInvalidPublicValue)
    }

    /// What is no value is found without a key pair of ours, for all methods; libcrypto's own derivation agrees.
    @Test(arguments: HostileValue.all)
    func aValueIsJudgedBeforeAnyKeyIsMade(value: HostileValue) throws {
        #expect(throws: KeyExchangeError.self) { try PeerPublicValue(value.method, value.bytes) }
        #expect(throws: KeyExchangeError.self) { try KeyExchange.initiate(value.method).finish(with: value.bytes) }
    }

    @Test(arguments: KeyExchangeMethod.allCases)
    func aCheckedValueGivesTheSameSecret(method: KeyExchangeMethod) throws {
        let (side, other) = (try KeyExchange.initiate(method), try KeyExchange.initiate(method))
        let checked = try PeerPublicValue(method, other.publicValue)
        #expect(try side.finish(with: checked) == other.finish(with: side.publicValue))
        let another: KeyExchangeMethod = method == .ecp256 ? .ecp384 : .ecp256
        let foreign = try PeerPublicValue(another, KeyExchange.initiate(another).publicValue)
        #expect(performing: { try side.finish(with: foreign) }, throws: isInvalidPublicValue)
    }

    /// A secret that happens to begin with zeros keeps them (RFC 7296 section 2.14).
    @Test func keepsLeadingZeros() throws {
        // 2^8 is g^x for x = 8, and (2^8)^1 is 256.
        let side = try KeyExchange(.modp2048, privateValue: SecretBytes(copying: [8]))
        let other = try KeyExchange(.modp2048, privateValue: SecretBytes(copying: [2]))
        var expected = [UInt8](repeating: 0, count: 256)
        expected[253] = 1
        #expect(side.publicValue.suffix(2) == [1, 0])
        #expect(try side.finish(with: other.publicValue) == SecretBytes(copying: expected))
    }

    @Test func namesAndNumbers() {
        let numbers: [(String, UInt16)] = [
            ("modp1024", 2), ("modp1536", 5), ("modp2048", 14), ("modp3072", 15), ("modp4096", 16), ("ecp256", 19),
            ("ecp384", 20), ("ecp521", 21),
            ("x25519", 31), ("x448", 32), ("curve25519", 31), ("curve448", 32),
        ]
        for (name, number) in numbers { #expect(KeyExchangeMethod(name: name)?.rawValue == number) }
        for method in KeyExchangeMethod.allCases { #expect(KeyExchangeMethod(name: method.name) == method) }
        #expect(KeyExchangeMethod(name: "modp768") == nil)
        #expect(KeyExchangeMethod.allCases.filter(\.isWeak) == [.modp1024, .modp1536])
    }

    private func isInvalidPublicValue(_ error: any Error) -> Bool {
        if case KeyExchangeError.invalidPublicValue = error { true } else { false }
    }
}
