/// Numbers with all their hexadecimal digits, without a prefix.
enum Hexadecimal {
    static func text<Number: FixedWidthInteger & UnsignedInteger>(_ number: Number) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: Number.bitWidth / 4 - digits.count) + digits
    }

    static func text(_ bytes: [UInt8]) -> String { bytes.map { text($0) }.joined() }
}
