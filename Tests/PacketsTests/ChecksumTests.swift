import Packets
import Testing

@Suite("Internet checksum")
struct ChecksumTests {
    /// RFC 1071 section 3: the words 0001 f203 f4f5 f6f7 add up to ddf2.
    @Test("RFC 1071 example")
    func example() {
        let bytes = hex("0001 f203 f4f5 f6f7")
        let (checksum, _) = withMemory(bytes) { base, count in Checksum.internet(base, count: count) }
        #expect(checksum == ~0xDDF2)
    }

    @Test("Equal to the naive sum for every length", arguments: 0...130)
    func lengths(count: Int) {
        var random = SeededGenerator(state: UInt64(count))
        for _ in 0..<20 {
            let bytes = random.bytes(count)
            let (checksum, _) = withMemory(bytes) { base, count in Checksum.internet(base, count: count) }
            #expect(checksum == naiveChecksum(bytes))
        }
    }

    @Test(
        "Equal to the naive sum at the limits", arguments: [0x00, 0xFF, 0x80, 0x01] as [UInt8],
        [1, 2, 3, 7, 8, 9, 15, 64, 1500, 65_535])
    func limits(value: UInt8, count: Int) {
        let bytes = Array(repeating: value, count: count)
        let (checksum, _) = withMemory(bytes) { base, count in Checksum.internet(base, count: count) }
        #expect(checksum == naiveChecksum(bytes))
    }

    @Test("In pieces", arguments: 0..<50)
    func pieces(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        let bytes = random.bytes(200)
        let cut = Int(random.next() % 100) * 2
        let (checksum, _) = withMemory(bytes) { base, count in
            let first = Checksum.sum(base, count: cut)
            return Checksum.internet(base + cut, count: count - cut, initial: first)
        }
        #expect(checksum == naiveChecksum(bytes))
    }

    @Test("An accumulator that is full wraps around")
    func carry() {
        #expect(Checksum.combine(.max, .max) == .max)
        #expect(Checksum.combine(.max, 1) == 1)
        #expect(Checksum.fold(.max) == 0xFFFF)
        #expect(Checksum.fold(0) == 0)
        #expect(Checksum.fold(0x1_0000) == 1)
        #expect(Checksum.fold(0xFFFF_FFFF_0000_0001) == 1)
        let (checksum, _) = withMemory(hex("ffff ffff ffff ffff 0001")) { base, count in
            Checksum.internet(base, count: count, initial: .max)
        }
        #expect(checksum == naiveChecksum(hex("0001")))
    }

    @Test("IPv4 header validity", arguments: [0, 4, 8, 40])
    func header(options: Int) {
        var random = SeededGenerator(state: UInt64(options))
        for _ in 0..<50 {
            var sample = IPv4Sample(options: random.bytes(options))
            sample.source = random.bytes(4)
            sample.identification = UInt16(truncatingIfNeeded: random.next())
            let bytes = sample.bytes
            withMemory(bytes) { base, _ in
                #expect(Checksum.isIPv4HeaderValid(base, headerLength: 20 + options))
                for bit in 0..<(20 + options) * 8 {
                    let byte = base.load(fromByteOffset: bit / 8, as: UInt8.self)
                    base.storeBytes(of: byte ^ 1 << UInt8(bit % 8), toByteOffset: bit / 8, as: UInt8.self)
                    #expect(!Checksum.isIPv4HeaderValid(base, headerLength: 20 + options), "bit \(bit)")
                    base.storeBytes(of: byte, toByteOffset: bit / 8, as: UInt8.self)
                }
            }
        }
    }

    /// A UDP datagram of a real exchange: the pseudo header is part of its checksum.
    @Test("Pseudo header", arguments: [AddressFamily.ipv4, .ipv6])
    func pseudoHeader(family: AddressFamily) {
        var random = SeededGenerator(state: 7)
        let size = family == .ipv4 ? 4 : 16
        for _ in 0..<100 {
            let source = random.bytes(size)
            let destination = random.bytes(size)
            let payload = random.bytes(Int(random.next() % 90))
            // RFC 793 and RFC 8200 order their fields differently; the sum is the same.
            let expected = naiveChecksum(source + destination + [0, 17, 0, UInt8(payload.count)] + payload)
            let partial = Checksum.pseudoHeader(
                source: source.withUnsafeBytes { address($0, family) },
                destination: destination.withUnsafeBytes { address($0, family) }, protocol: 17,
                length: UInt32(payload.count))
            let (checksum, _) = withMemory(payload) { base, count in
                Checksum.internet(base, count: count, initial: partial)
            }
            #expect(checksum == expected)
        }
    }

    private func address(_ bytes: UnsafeRawBufferPointer, _ family: AddressFamily) -> IPAddress {
        guard let base = bytes.baseAddress else { return .unspecified(family) }
        return IPAddress(loading: base, family: family)
    }

    @Test("UDP sends zero as all ones")
    func udp() {
        #expect(Checksum.udpField(0) == 0xFFFF)
        #expect(Checksum.udpField(1) == 1)
        #expect(Checksum.udpField(0xFFFF) == 0xFFFF)
    }
}

@Suite("Incremental checksum update (RFC 1624)")
struct ChecksumUpdateTests {
    /// RFC 1624 section 4: a header checksum of dd2f and a word that changes from 5555 to 3285 give 0000, not ffff.
    @Test("The example of the RFC")
    func example() {
        #expect(Checksum.update(checksum: 0xDD2F, from: UInt16(0x5555), to: 0x3285) == 0x0000)
    }

    @Test("No change keeps the checksum", arguments: [0, 1, 0x7FFF, 0x8000, 0xFFFE] as [UInt16])
    func identity(checksum: UInt16) {
        for word in [0, 1, 0x5555, 0xFFFF] as [UInt16] {
            #expect(Checksum.update(checksum: checksum, from: word, to: word) == checksum)
        }
    }

    @Test("All corners agree with computing anew")
    func corners() {
        let words: [UInt16] = [0x0000, 0x0001, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]
        for fixed in words.dropFirst() {
            for old in words {
                for new in words {
                    // The word that stays is never zero: like a real header, the sum cannot be all zeros.
                    #expect(updated(fixed, old, new) == computed(fixed, new), "\(fixed) \(old) -> \(new)")
                }
            }
        }
    }

    @Test("Random words agree with computing anew", arguments: 0..<20)
    func random(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        for _ in 0..<500 {
            let fixed = UInt16(truncatingIfNeeded: random.next()) | 1
            let old = UInt16(truncatingIfNeeded: random.next())
            let new = UInt16(truncatingIfNeeded: random.next())
            #expect(updated(fixed, old, new) == computed(fixed, new))
        }
    }

    @Test("32-bit fields", arguments: 0..<20)
    func wide(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        for _ in 0..<200 {
            var bytes = random.bytes(20)
            bytes[0] |= 0x45
            let before = naiveChecksum(bytes)
            let old = UInt32(bytes.uint16(at: 12)) << 16 | UInt32(bytes.uint16(at: 14))
            let new = [UInt32(truncatingIfNeeded: random.next()), 0, .max, 0xFFFF, 0xFFFF_0000][Int(random.next() % 5)]
            bytes.set(UInt16(new >> 16), at: 12)
            bytes.set(UInt16(new & 0xFFFF), at: 14)
            #expect(Checksum.update(checksum: before, from: old, to: new) == naiveChecksum(bytes))
        }
    }

    private func updated(_ fixed: UInt16, _ old: UInt16, _ new: UInt16) -> UInt16 {
        Checksum.update(checksum: computed(fixed, old), from: old, to: new)
    }

    private func computed(_ fixed: UInt16, _ word: UInt16) -> UInt16 {
        var bytes: [UInt8] = [0, 0, 0, 0]
        bytes.set(fixed, at: 0)
        bytes.set(word, at: 2)
        return naiveChecksum(bytes)
    }
}
