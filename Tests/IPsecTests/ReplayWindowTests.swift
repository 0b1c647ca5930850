import Synchronization
import Testing

@testable import IPsec

/// A window with memory of its own.
private final class Window {
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    var window: ReplayWindow

    init(size: Int, top: UInt64 = 0) {
        words = .allocate(capacity: ReplayWindow.wordCount(size: size))
        window = ReplayWindow(size: size, top: top, words: words)
    }

    deinit { words.deallocate() }

    var top: UInt64 { window.top.load(ordering: .relaxed) }

    func verify(_ sequence: UInt64) -> ReplayWindow.Answer { window.verify(sequence) }

    func commit(_ sequence: UInt64) -> Bool { window.commit(sequence) }

    func summary() -> SAStatus.Window { window.summary() }

    func accept(_ sequence: UInt64) -> ReplayWindow.Answer {
        let answer = verify(sequence)
        #expect(commit(sequence) == (answer == .new), "verify and commit differ on \(sequence)")
        return answer
    }
}

/// What RFC 4303 section 3.4.3 says, with a set.
private struct NaiveWindow {
    let size: UInt64
    var top: UInt64 = 0
    var seen: Set<UInt64> = [0]

    mutating func accept(_ sequence: UInt64) -> ReplayWindow.Answer {
        if sequence <= top {
            if top - sequence >= size { return .tooOld }
            if seen.contains(sequence) { return .duplicate }
        }
        seen.insert(sequence)
        top = max(top, sequence)
        return .new
    }
}

@Suite("Replay window (RFC 4303 3.4.3, RFC 6479)")
struct ReplayWindowTests {
    /// Sequence numbers in order of arrival, and the answers, for a window of 64.
    @Test(
        arguments: [
            // Each number once, then again.
            ([1, 2, 3, 1, 2, 3], [.new, .new, .new, .duplicate, .duplicate, .duplicate]),
            // The lower edge: top - size + 1 is in, top - size is out.
            ([65, 2, 1], [.new, .new, .tooOld]),
            ([64, 1, 1], [.new, .new, .duplicate]),
            ([1000, 937, 936, 937], [.new, .new, .tooOld, .duplicate]),
            // Zero is no sequence number, near and far.
            ([0, 1, 0], [.duplicate, .new, .duplicate]),
            ([64, 0], [.new, .tooOld]),
            // A jump by less, exactly and more than the ring (128 bits), and all that lies between is new.
            ([10, 137, 136, 74, 73], [.new, .new, .new, .new, .tooOld]),
            ([10, 138, 75, 138], [.new, .new, .new, .duplicate]),
            ([10, 1_000_010, 1_000_009, 1_000_010], [.new, .new, .new, .duplicate]),
            // A place in the ring that an older number used.
            ([5, 133, 70, 69], [.new, .new, .new, .tooOld]),
            // The ends of 32 bits.
            ([0xFFFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF], [.new, .new, .duplicate]),
        ] as [([UInt64], [ReplayWindow.Answer])])
    func table(arrivals: [UInt64], answers: [ReplayWindow.Answer]) {
        let window = Window(size: 64)
        #expect(arrivals.map(window.accept) == answers)
    }

    /// Every size behaves as the set does, for numbers near the window, near its edges and far ahead.
    @Test(arguments: [32, 33, 63, 64, 65, 95, 127, 128, 129, 1000, 1024, 4095, 4096, 65_535, 65_536])
    func equalsNaiveModel(size: Int) {
        var generator = SeededGenerator(seed: UInt64(size))
        let window = Window(size: size)
        var naive = NaiveWindow(size: UInt64(size))
        for step in 0..<4000 {
            let reach = UInt64(size)
            let base = naive.top
            let sequence =
                switch UInt8.random(in: 0..<10, using: &generator) {
                case 0: base &+ 1
                case 1: base &+ UInt64.random(in: 1...reach, using: &generator)
                case 2: base &+ UInt64.random(in: 1...reach * 3, using: &generator)
                case 3: base >= reach ? base - reach : 0
                case 4: base >= reach ? base - reach + 1 : 1
                case 5: base
                default: base &- min(base, UInt64.random(in: 0...reach + 2, using: &generator))
                }
            let (answer, expected) = (window.accept(sequence), naive.accept(sequence))
            guard answer == expected else {
                Issue.record("step \(step): \(sequence) with top \(base): \(answer) instead of \(expected)")
                return
            }
        }
        #expect(window.top == naive.top)
    }

    /// The first check changes nothing, so a forged packet cannot move the window.
    @Test func verifyChangesNothing() {
        let window = Window(size: 32)
        _ = window.accept(100)
        for sequence in [101, 5000, UInt64.max, 99, 100, 1] as [UInt64] { _ = window.verify(sequence) }
        #expect(window.accept(99) == .new)
        #expect(window.accept(101) == .new)
    }

    /// Two copies in one batch pass the first check; only one passes the second.
    @Test func secondCopyFailsAtCommit() {
        let window = Window(size: 32)
        #expect(window.verify(7) == .new)
        #expect(window.verify(7) == .new)
        #expect(window.commit(7))
        #expect(!window.commit(7))
    }

    /// A packet that passed the first check can be too old when its batch is committed.
    @Test func commitRefusesWhatBecameTooOld() {
        let window = Window(size: 32)
        #expect(window.verify(1) == .new)
        #expect(window.commit(33))
        #expect(!window.commit(1))
    }

    @Test func offTakesEverything() {
        let window = Window(size: 0)
        for sequence in [5, 5, 1, 0, 1_000_000, 5] as [UInt64] { #expect(window.accept(sequence) == .new) }
        #expect(window.top == 1_000_000)
    }

    /// What an SA continues after: the number itself and all before it are replays.
    @Test(arguments: [1, 63, 64, 1000, 0xFFFF_FFFF, 0x1_0000_0000] as [UInt64])
    func initialTop(top: UInt64) {
        let window = Window(size: 64, top: top)
        #expect(window.verify(top) == .duplicate)
        #expect(window.verify(top - 1) == .duplicate)
        #expect(window.accept(top + 2) == .new)
        #expect(window.accept(top + 1) == .new)
        #expect(window.accept(top + 1) == .duplicate)
    }

    @Test func ringIsLongerThanTheWindow() {
        for size in [0, 1, 32, 63, 64, 65, 1024, 65_536] {
            let count = ReplayWindow.wordCount(size: size)
            #expect(count & (count - 1) == 0)
            #expect(count * 64 >= size + 64)
        }
        #expect(ReplayWindow.wordCount(size: 1024) == 32)
    }

    @Test func summaryCountsWhatArrived() {
        let window = Window(size: 64)
        for sequence in [1, 2, 5] as [UInt64] { _ = window.accept(sequence) }
        var summary = window.summary()
        #expect((summary.top, summary.span, summary.received, summary.missing) == (5, 5, 3, 2))
        _ = window.accept(100)
        _ = window.accept(37)
        summary = window.summary()
        #expect((summary.size, summary.top, summary.span, summary.received) == (64, 100, 64, 2))
    }
}
