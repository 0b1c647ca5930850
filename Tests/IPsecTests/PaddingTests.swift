import Testing

@testable import IPsec

@Suite("Padding (RFC 4303 2.4)")
struct PaddingTests {
    /// 300 bytes that are no padding, and `length` bytes of padding at the end.
    private func payload(_ length: Int) -> [UInt8] {
        [UInt8](repeating: 0xEE, count: 300) + (0..<length).map { UInt8($0 + 1) }
    }

    private func isValid(_ bytes: [UInt8], _ length: Int, alignmentMask: UInt8) -> Bool {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return false }
            return Padding.isValid(before: base + bytes.count, length: UInt8(length), alignmentMask: alignmentMask)
        }
    }

    @Test(arguments: [3, 15] as [UInt8])
    func everyLength(alignmentMask: UInt8) {
        for length in 0...255 { #expect(isValid(payload(length), length, alignmentMask: alignmentMask), "\(length)") }
    }

    /// Each bit of each byte counts, and no byte before the padding does.
    @Test(arguments: [3, 15] as [UInt8])
    func everyBit(alignmentMask: UInt8) {
        for length in [1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 100, 255] {
            let good = payload(length)
            for index in good.indices.suffix(length + 20) {
                for bit in 0..<8 {
                    var bad = good
                    bad[index] ^= 1 << bit
                    let isPadding = index >= good.count - length
                    #expect(isValid(bad, length, alignmentMask: alignmentMask) != isPadding)
                }
            }
        }
    }

    @Test func writesPaddingAndTrailer() {
        for length in 0...15 {
            var buffer = [UInt8](repeating: 0, count: 32)
            buffer.withUnsafeMutableBytes { bytes in
                if let base = bytes.baseAddress { Padding.write(at: base, length: length, nextHeader: 41) }
            }
            let expected = (0..<length).map { UInt8($0 + 1) } + [UInt8(length), 41]
            #expect(Array(buffer.prefix(length + 2)) == expected)
            #expect(buffer[18...].allSatisfy { $0 == 0 })
        }
    }
}
