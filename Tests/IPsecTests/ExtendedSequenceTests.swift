import Synchronization
import Testing

@testable import IPsec

/// RFC 4303 appendix A2.2 to the letter, in 32-bit arithmetic.
private func appendixHighBits(low: UInt32, top: UInt64, window: UInt32) -> UInt32 {
    let topLow = UInt32(truncatingIfNeeded: top)
    let topHigh = UInt32(truncatingIfNeeded: top >> 32)
    let bottomLow = topLow &- window &+ 1
    if topLow >= window - 1 {  // Case A
        return low >= bottomLow ? topHigh : topHigh &+ 1
    }
    return low >= bottomLow ? topHigh &- 1 : topHigh  // Case B
}

private func extended(_ low: UInt32, top: UInt64, size: Int) -> (sequence: UInt64, isPlausible: Bool) {
    let words = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: ReplayWindow.wordCount(size: size))
    defer { words.deallocate() }
    let window = ReplayWindow(size: size, top: top, words: words)
    let sequence = window.extended(low)
    return (sequence, window.isPlausible(sequence))
}

@Suite("Extended sequence numbers (RFC 4303 appendix A)")
struct ExtendedSequenceTests {
    struct Case: Sendable {
        let top: UInt64
        let low: UInt32
        let sequence: UInt64
    }

    /// For a window of 64: figures 1 and 2, and their edges.
    @Test(arguments: [
        // Case A: the window is inside of one subspace.
        Case(top: 0x5_0000_1000, low: 0x0000_1000, sequence: 0x5_0000_1000),
        Case(top: 0x5_0000_1000, low: 0x0000_0FC1, sequence: 0x5_0000_0FC1),  // the bottom
        Case(top: 0x5_0000_1000, low: 0x0000_0FC0, sequence: 0x6_0000_0FC0),  // before the bottom: the next subspace
        Case(top: 0x5_0000_1000, low: 0x0000_1001, sequence: 0x5_0000_1001),
        Case(top: 0x5_0000_1000, low: 0xFFFF_FFFF, sequence: 0x5_FFFF_FFFF),
        Case(top: 0x5_0000_1000, low: 0, sequence: 0x6_0000_0000),
        // Case A at its edge: the bottom is 0.
        Case(top: 0x5_0000_003F, low: 0, sequence: 0x5_0000_0000),
        Case(top: 0x5_0000_003F, low: 0xFFFF_FFFF, sequence: 0x5_FFFF_FFFF),
        // Case B: the window spans two subspaces.
        Case(top: 0x5_0000_003E, low: 0xFFFF_FFFF, sequence: 0x4_FFFF_FFFF),  // the bottom
        Case(top: 0x5_0000_003E, low: 0xFFFF_FFFE, sequence: 0x5_FFFF_FFFE),
        Case(top: 0x5_0000_0000, low: 0xFFFF_FFC1, sequence: 0x4_FFFF_FFC1),
        Case(top: 0x5_0000_0000, low: 0xFFFF_FFC0, sequence: 0x5_FFFF_FFC0),
        Case(top: 0x5_0000_0000, low: 1, sequence: 0x5_0000_0001),
        // The step into the next subspace.
        Case(top: 0x4_FFFF_FFFF, low: 0, sequence: 0x5_0000_0000),
        Case(top: 0x4_FFFF_FFFF, low: 0xFFFF_FFC0, sequence: 0x4_FFFF_FFC0),
        Case(top: 0x4_FFFF_FFFF, low: 0xFFFF_FFBF, sequence: 0x5_FFFF_FFBF),
    ])
    func table(example: Case) {
        let (sequence, isPlausible) = extended(example.low, top: example.top, size: 64)
        #expect(sequence == example.sequence)
        #expect(isPlausible)
    }

    /// One formula for both cases is the appendix's, for all window positions around a boundary.
    @Test(arguments: [32, 64, 1000, 1024, 65_536])
    func equalsAppendix(size: Int) {
        var generator = SeededGenerator(seed: UInt64(size) &* 77)
        for _ in 0..<20_000 {
            let subspace = UInt64.random(in: 1...0xFFFF_FFFE, using: &generator) << 32
            let nearness = Int64.random(in: -3 * Int64(size)...3 * Int64(size), using: &generator)
            let top =
                Bool.random(using: &generator)
                ? subspace &+ UInt64(bitPattern: nearness)
                : subspace | UInt64(UInt32.random(in: 0...UInt32.max, using: &generator))
            let distance = Int64.random(in: -2 * Int64(size)...2 * Int64(size), using: &generator)
            let low =
                Bool.random(using: &generator)
                ? UInt32(truncatingIfNeeded: top &+ UInt64(bitPattern: distance))
                : UInt32.random(in: 0...UInt32.max, using: &generator)
            let high = appendixHighBits(low: low, top: top, window: UInt32(size))
            let (sequence, isPlausible) = extended(low, top: top, size: size)
            #expect(sequence == UInt64(high) << 32 | UInt64(low) && isPlausible, "top \(top), low \(low)")
        }
    }

    /// Before the first subspace there is none, so nothing is authenticated with 2^32 - 1 as its high half.
    @Test func nothingBeforeTheFirstSubspace() {
        #expect(extended(1, top: 0, size: 64) == (1, true))
        #expect(extended(0xFFFF_FFC0, top: 0, size: 64) == (0xFFFF_FFC0, true))
        #expect(!extended(0xFFFF_FFC1, top: 0, size: 64).isPlausible)
        #expect(!extended(0xFFFF_FFFF, top: 62, size: 64).isPlausible)
        #expect(extended(0xFFFF_FFFF, top: 63, size: 64) == (0xFFFF_FFFF, true))
    }

    /// Beyond 2^64 - 1 there is nothing either.
    @Test(arguments: [0, 64])
    func nothingBehindTheLastSubspace(size: Int) {
        let top = UInt64.max - 10
        #expect(extended(0xFFFF_FFFF, top: top, size: size) == (UInt64.max, true))
        #expect(extended(0xFFFF_FFF0, top: top, size: size) == (UInt64.max - 15, true))
        #expect(!extended(0, top: top, size: size).isPlausible)
        #expect(!extended(5, top: top, size: size).isPlausible)
    }

    /// Without a window the nearest subspace is meant.
    @Test func withoutWindow() {
        let top: UInt64 = 0x5_1000_0000
        #expect(extended(0x1000_0001, top: top, size: 0) == (0x5_1000_0001, true))
        #expect(extended(0x0FFF_0000, top: top, size: 0) == (0x5_0FFF_0000, true))
        #expect(extended(0xF000_0000, top: top, size: 0) == (0x4_F000_0000, true))
        #expect(extended(0x7000_0000, top: top, size: 0) == (0x5_7000_0000, true))
    }
}
