import Synchronization

/// The anti-replay window of RFC 4303 section 3.4.3, kept as RFC 6479 proposes: a ring of 64-bit words in which a
/// sequence number always has the same place, so that sliding the window only clears the words it enters.
///
/// 1. `verify` before the cipher: is the number new? Changes nothing.
/// 2. The packet is authenticated.
/// 3. `commit`: the same question again, since a copy may be in the same batch, and the bit is set.
///
/// The window holds the numbers `top - size + 1 ... top`. The ring has at least one word more than the window needs,
/// so the window's size is exact. One thread writes; others may read `top` and the words.
@frozen
public struct ReplayWindow: ~Copyable {
    @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// The highest sequence number that was authenticated.
    @usableFromInline let top: Atomic<UInt64>
    /// Packets; 0: every number passes.
    @usableFromInline let size: UInt32
    /// Number of words in the ring, minus one.
    @usableFromInline let wordMask: UInt32

    /// The number of words of a window's ring: a power of two.
    public static func wordCount(size: Int) -> Int {
        // A window that does not begin at the edge of a word touches one word more.
        let least = (size + 63) / 64 + 1
        var count = 2
        while count < least { count *= 2 }
        return count
    }

    /// A window in which `top` and everything before it counts as seen; in particular 0, which no packet has.
    ///
    /// `words` is memory for `wordCount(size:)` words that outlives the window.
    public init(size: Int, top: UInt64, words: UnsafeMutablePointer<Atomic<UInt64>>) {
        let count = Self.wordCount(size: size)
        for index in 0..<count { (words + index).initialize(to: Atomic(UInt64.max)) }
        self.words = words
        self.size = UInt32(size)
        self.top = Atomic(top)
        wordMask = UInt32(count - 1)
        // Bits above the top belong to numbers still to come.
        words[Int(truncatingIfNeeded: top >> 6) & (count - 1)].store(
            UInt64.max >> (63 - top & 63), ordering: .relaxed)
    }

    /// The answer of the window about a sequence number.
    @frozen
    public enum Answer: UInt8, Sendable {
        case new
        case duplicate
        case tooOld
    }

    /// Whether the number could be accepted now. Changes nothing.
    @inlinable
    @inline(__always)
    public func verify(_ sequence: UInt64) -> Answer {
        let top = top.load(ordering: .relaxed)
        if sequence > top || size == 0 { return .new }
        if top &- sequence >= UInt64(size) { return .tooOld }
        let word = words[wordIndex(sequence)].load(ordering: .relaxed)
        return word & bit(sequence) == 0 ? .new : .duplicate
    }

    /// Accepts the number of an authenticated packet, unless that happened before.
    @inlinable
    @inline(__always)
    public func commit(_ sequence: UInt64) -> Bool {
        let top = top.load(ordering: .relaxed)
        if size == 0 {
            self.top.store(max(sequence, top), ordering: .relaxed)
            return true
        }
        if sequence > top {
            if sequence >> 6 != top >> 6 { clear(after: top >> 6, through: sequence >> 6) }
            self.top.store(sequence, ordering: .relaxed)
        } else if top &- sequence >= UInt64(size) {
            return false
        }
        let index = wordIndex(sequence)
        let word = words[index].load(ordering: .relaxed)
        words[index].store(word | bit(sequence), ordering: .relaxed)
        return word & bit(sequence) == 0
    }

    /// The words that the window enters hold nothing seen.
    @inlinable
    func clear(after last: UInt64, through next: UInt64) {
        var left = min(next &- last, UInt64(wordMask) &+ 1)
        var index = next
        while left > 0 {
            words[Int(truncatingIfNeeded: index & UInt64(wordMask))].store(0, ordering: .relaxed)
            index &-= 1
            left &-= 1
        }
    }

    /// Below the number of words, whatever the sequence number.
    @inlinable
    func wordIndex(_ sequence: UInt64) -> Int {
        Int(truncatingIfNeeded: sequence >> 6 & UInt64(wordMask))
    }

    @inlinable
    func bit(_ sequence: UInt64) -> UInt64 { 1 &<< (sequence & 63) }
}

// MARK: - Extended sequence numbers

extension ReplayWindow {
    /// The 64-bit number of which `low` was received (RFC 4303 appendix A2.2).
    ///
    /// Cases A and B of the RFC are one: the number is the only one that ends in `low` among the 2^32 numbers that
    /// begin with the window's bottom. At the very ends of the number space that may be one before 0 or beyond
    /// 2^64 - 1, which wraps; `isPlausible` tells.
    @inlinable
    @inline(__always)
    public func extended(_ low: UInt32) -> UInt64 {
        // Without a window the number may be up to half of a subspace before the top.
        let reach = size == 0 ? 1 &<< 31 : UInt64(size)
        let bottom = top.load(ordering: .relaxed) &- (reach &- 1)
        return bottom &+ UInt64(low &- UInt32(truncatingIfNeeded: bottom))
    }

    /// Whether a result of `extended` is a number that a sender can have used: it has not wrapped.
    @inlinable
    @inline(__always)
    public func isPlausible(_ sequence: UInt64) -> Bool {
        let top = top.load(ordering: .relaxed)
        return (Int64(bitPattern: sequence &- top) >= 0) == (sequence >= top)
    }
}
