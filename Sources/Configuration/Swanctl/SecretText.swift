import Cryptography

/// The value of a `secret`: text as it is, hexadecimal digits behind 0x, or base64 behind 0s.
enum SecretText {
    /// nil when what stands behind the prefix is not of that form.
    static func decode(_ secret: SecretBytes) -> SecretBytes? {
        secret.withUnsafeBytes { bytes in
            guard bytes.count >= 2, bytes[0] == UInt8(ascii: "0") else { return secret }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[2...])
            switch bytes[1] {
            case UInt8(ascii: "x"), UInt8(ascii: "X"): return hexadecimal(rest)
            case UInt8(ascii: "s"), UInt8(ascii: "S"): return base64(rest)
            default: return secret
            }
        }
    }

    /// With ":" between digits or not; of an odd number of digits, the first stands for a byte by itself.
    private static func hexadecimal(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        let separator = UInt8(ascii: ":")
        let count = text.count { $0 != separator }
        guard count > 0 else { return nil }
        var isValid = true
        let result = SecretBytes(count: (count + 1) / 2) { bytes in
            var index = count % 2
            for digit in text where digit != separator {
                guard let value = nibble(digit) else {
                    isValid = false
                    return
                }
                bytes[index / 2] = bytes[index / 2] << 4 | value
                index += 1
            }
        }
        return isValid ? result : nil
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// RFC 4648 section 4; the padding may be left out.
    private static func base64(_ text: UnsafeRawBufferPointer) -> SecretBytes? {
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        let digits = text.count - padding
        guard digits > 0, padding <= 2, digits % 4 != 1, padding == 0 || text.count.isMultiple(of: 4) else {
            return nil
        }
        var isValid = true
        let result = SecretBytes(count: digits * 6 / 8) { bytes in
            var (bits, held, next) = (UInt32(0), 0, 0)
            for byte in text.prefix(digits) {
                guard let value = sextet(byte) else {
                    isValid = false
                    return
                }
                bits = (bits << 6 | UInt32(value)) & 0xFFFF
                held += 6
                guard held >= 8 else { continue }
                held -= 8
                bytes[next] = UInt8(truncatingIfNeeded: bits >> UInt32(held))
                next += 1
            }
        }
        return isValid ? result : nil
    }

    private static func sextet(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
