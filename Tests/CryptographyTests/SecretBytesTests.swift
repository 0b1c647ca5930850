import Cryptography
import Glibc
import Testing

@Suite struct SecretBytesTests {
    @Test func neverShowsItsContent() throws {
        let secret = SecretBytes(copying: Array("swordfish".utf8))
        let shown = [
            "\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])",
            "\(Optional(secret) as Any)", dumped(secret), dumped([secret]),
        ]
        for text in shown {
            #expect(!text.contains("swordfish"))
            #expect(!text.contains("115"), "a byte of it in decimal")
            #expect(!text.contains("0x7"), "its address")
        }
        #expect("\(secret)" == "<9 secret bytes>")
    }

    @Test func readsHexadecimalDigits() {
        #expect(SecretBytes(hexadecimal: "00fFa7") == SecretBytes(copying: [0, 0xff, 0xa7]))
        #expect(SecretBytes(hexadecimal: "") == SecretBytes(copying: []))
        for bad in ["0", "0x", "0g", "00 11", "é0"] { #expect(SecretBytes(hexadecimal: bad) == nil, "\(bad)") }
    }

    @Test func comparesContent() throws {
        let secret = SecretBytes(copying: [1, 2, 3])
        #expect(secret == SecretBytes(copying: [1, 2, 3]))
        #expect(secret != SecretBytes(copying: [1, 2, 4]))
        #expect(secret != SecretBytes(copying: [1, 2]))
        #expect(secret[1..<3] == SecretBytes(copying: [2, 3]))
        #expect(secret.withUnsafeBytes { Array($0) } == [1, 2, 3])
        let random = try (0..<8).map { _ in try SecretBytes.random(count: 32) }
        for index in random.indices.dropFirst() { #expect(random[index] != random[index - 1]) }
    }

    @Test func consumingEmptiesTheSource() {
        var source: [UInt8] = [1, 2, 3]
        let secret = SecretBytes(consuming: &source)
        #expect(source.isEmpty)
        #expect(secret == SecretBytes(copying: [1, 2, 3]))
    }

    /// Sizes of their own, so that no other test takes the freed block.
    @Test(arguments: [3000, 30_000, 200_000])
    func memoryIsZeroedWhenFreed(count: Int) throws {
        var secret: SecretBytes? = SecretBytes(copying: Array(repeating: 0x5a, count: count))
        let address = try #require(secret?.withUnsafeBytes { $0.baseAddress })
        #expect(UnsafeRawBufferPointer(start: address, count: count).allSatisfy { $0 == 0x5a })
        secret = nil
        // The block stays mapped and goes to the free list.
        #expect(UnsafeRawBufferPointer(start: address, count: count).allSatisfy { $0 == 0 })
    }

    @Test(arguments: [1, 64, 65, 8000, 70_000])
    func memoryIsLockedAndLeftOutOfDumps(count: Int) throws {
        let secret = SecretBytes(copying: Array(repeating: 1, count: count))
        let address = secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        let flags = try #require(try mappingFlags(of: address))
        #expect(flags.contains("dd"), "left out of core dumps")
        if SecretMemory.isLocked { #expect(flags.contains("lo"), "locked") }
    }

    /// A block handed out twice, or two that overlap, would show up as changed content.
    @Test func blocksAreDisjointAndAligned() {
        var kept: [(SecretBytes, UInt8)] = []
        for round in 0..<2000 {
            let fill = UInt8(truncatingIfNeeded: round)
            let count = 1 + round &* 7919 % 700
            let secret = SecretBytes(count: count) { $0.initializeMemory(as: UInt8.self, repeating: fill) }
            #expect(secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } % 64 == 0)
            if kept.count > 300 { kept.remove(at: round % 300) }
            kept.append((secret, fill))
        }
        for (secret, fill) in kept { #expect(secret.withUnsafeBytes { $0.allSatisfy { $0 == fill } }) }
    }

    private func dumped<Value>(_ value: Value) -> String {
        var text = ""
        dump(value, to: &text)
        return text
    }

    /// The VmFlags line of the mapping that holds `address`, from /proc/self/smaps.
    private func mappingFlags(of address: UInt) throws -> [Substring]? {
        let file = try #require(fopen("/proc/self/smaps", "r"))
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var inside = false
        while getline(&line, &capacity, file) > 0, let line {
            let text = String(cString: line)
            let bounds = text.prefix { $0 != " " }.split(separator: "-").map { UInt($0, radix: 16) }
            if bounds.count == 2, let low = bounds[0], let high = bounds[1] {
                inside = low <= address && address < high
            }
            if inside, text.hasPrefix("VmFlags:") { return text.split(whereSeparator: \.isWhitespace) }
        }
        return nil
    }
}
