// Helpers of these tests: bytes from text, memory of exactly the right size, naive reference code.

/// Bytes from hexadecimal text; white space is ignored.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.map { $0.hexDigitValue ?? 0 }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// Runs `body` over a heap copy of exactly these bytes, so that AddressSanitizer sees the first byte beyond.
/// Returns what `body` returns and the bytes afterwards.
@discardableResult
func withMemory<Result>(
    _ bytes: [UInt8], _ body: (UnsafeMutableRawPointer, Int) throws -> Result
) rethrows -> (result: Result, bytes: [UInt8]) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    // An empty buffer may have no address; any address will do for zero bytes.
    let base = memory.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 16)
    guard let base else { fatalError("no address") }
    let result = try body(base, bytes.count)
    return (result, Array(memory))
}

/// The Internet checksum as RFC 1071 section 4.1 words it: 16 bits at a time.
func naiveChecksum(_ bytes: [UInt8], initial: UInt32 = 0) -> UInt16 {
    var sum = initial
    var index = 0
    while index < bytes.count {
        let low = index + 1 < bytes.count ? bytes[index + 1] : 0
        sum += UInt32(bytes[index]) << 8 | UInt32(low)
        sum = (sum & 0xFFFF) + (sum >> 16)
        index += 2
    }
    return ~UInt16(sum)
}

/// A small deterministic generator (SplitMix64), so that failures repeat.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

extension Array where Element == UInt8 {
    func uint16(at offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }

    mutating func set(_ value: UInt16, at offset: Int) {
        self[offset] = UInt8(value >> 8)
        self[offset + 1] = UInt8(value & 0xFF)
    }
}
