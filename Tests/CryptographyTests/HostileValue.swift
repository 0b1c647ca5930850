import Cryptography
import Testing

/// A public value that no honest peer sends.
struct HostileValue: Sendable, CustomTestStringConvertible {
    let method: KeyExchangeMethod
    let name: String
    let bytes: [UInt8]

    var testDescription: String { "\(method) \(name)" }

    static var all: [HostileValue] { modp + ecp + montgomery + lengths }

    private static var modp: [HostileValue] {
        [KeyExchangeMethod.modp2048, .modp3072, .modp4096].flatMap { method in
            let count = method.publicValueLength
            let prime = publishedPrimes[method].map(digits) ?? []
            var belowPrime = prime
            belowPrime[count - 1] -= 1
            return [
                HostileValue(method: method, name: "0", bytes: number(0, count)),
                HostileValue(method: method, name: "1", bytes: number(1, count)),
                HostileValue(method: method, name: "p-1", bytes: belowPrime),
                HostileValue(method: method, name: "p", bytes: prime),
                HostileValue(method: method, name: "all ones", bytes: [UInt8](repeating: 0xff, count: count)),
            ]
        }
    }

    private static var ecp: [HostileValue] {
        [KeyExchangeMethod.ecp256, .ecp384, .ecp521].flatMap { method in
            let count = method.publicValueLength
            return [
                HostileValue(method: method, name: "the origin", bytes: number(0, count)),
                HostileValue(method: method, name: "(0, 1)", bytes: number(1, count)),
                HostileValue(method: method, name: "out of range", bytes: [UInt8](repeating: 0xff, count: count)),
            ]
        }
    }

    /// The list of cr.yp.to/ecdh.html#validate, each also with the bit that does not count; and its like for Curve448.
    private static var montgomery: [HostileValue] {
        let edge25519 = [UInt8](repeating: 0xff, count: 30)
        let small25519: [[UInt8]] =
            [
                [0] + [UInt8](repeating: 0, count: 31), [1] + [UInt8](repeating: 0, count: 31),
                digits("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
                digits("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            ] + [0xec, 0xed, 0xee].map { [$0] + edge25519 + [0x7f] }
        let high = small25519.map { Array($0.dropLast()) + [$0[31] | 0x80] }
        let ones = [UInt8](repeating: 0xff, count: 27)
        let upper = [UInt8](repeating: 0xff, count: 28)
        let small448: [[UInt8]] = [
            [0] + [UInt8](repeating: 0, count: 55), [1] + [UInt8](repeating: 0, count: 55),
            [0xfe] + ones + [0xfe] + ones, [0xff] + ones + [0xfe] + ones,
            [UInt8](repeating: 0, count: 28) + upper,
        ]
        return (small25519 + high).enumerated().map {
            HostileValue(method: .x25519, name: "of small order, \($0.offset)", bytes: $0.element)
        }
            + small448.enumerated().map {
                HostileValue(method: .x448, name: "of small order, \($0.offset)", bytes: $0.element)
            }
    }

    private static var lengths: [HostileValue] {
        KeyExchangeMethod.allCases.flatMap { method in
            [0, 1, method.publicValueLength - 1, method.publicValueLength + 1].map { count in
                HostileValue(method: method, name: "\(count) bytes", bytes: [UInt8](repeating: 2, count: count))
            }
        }
    }

    private static func number(_ value: UInt8, _ count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: count - 1) + [value]
    }
}

private func digits(_ text: String) -> [UInt8] { bytes(text) }
