/// The points of small order of Curve25519, Curve448 and their twists: with them every secret would be zero
/// (RFC 7748 section 6, RFC 8031 section 4.2). Known beforehand, they need no multiplication to be found.
enum SmallOrderPoints {
    /// Whether a public value stands for one of them. `bytes`: as many as the method has, little-endian.
    static func contains(_ bytes: [UInt8], of method: KeyExchangeMethod) -> Bool {
        switch method {
        case .x25519:
            var canonical = bytes
            // RFC 7748 section 5: the highest bit does not count.
            if let last = canonical.indices.last { canonical[last] &= 0x7f }
            return curve25519.contains(canonical)
        case .x448: return curve448.contains(bytes)
        default: return false
        }
    }

    /// u = 0 and 1 (orders 2 and 4 on the curve), two of order 8, p-1 (order 4 on the twist), and p and p+1, which are
    /// other spellings of 0 and 1.
    private static let curve25519: Set<[UInt8]> = {
        let p = [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f]
        return [
            small(0, count: 32), small(1, count: 32), adding(-1, to: p), p, adding(1, to: p),
            [
                0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
                0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
            ],
            [
                0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
                0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
            ],
        ]
    }()

    /// u = 0 and 1, p-1, and p and p+1 once more, with p = 2^448 - 2^224 - 1.
    private static let curve448: Set<[UInt8]> = {
        var p = [UInt8](repeating: 0xff, count: 56)
        p[28] = 0xfe
        // p+1 carries through all of the low half.
        let next = [UInt8](repeating: 0, count: 28) + [UInt8](repeating: 0xff, count: 28)
        return [small(0, count: 56), small(1, count: 56), adding(-1, to: p), p, next]
    }()

    private static func small(_ value: UInt8, count: Int) -> [UInt8] {
        [value] + [UInt8](repeating: 0, count: count - 1)
    }

    /// A change of the lowest byte, which does not carry.
    private static func adding(_ change: Int8, to value: [UInt8]) -> [UInt8] {
        var value = value
        value[0] = UInt8(truncatingIfNeeded: Int(value[0]) + Int(change))
        return value
    }
}
