/// Hashing for the tables of this module, with a seed that is another one in each process: neighbours' addresses come from
/// the network, and narrowed selectors from peers, who must not be able to choose keys that meet in one place.
@usableFromInline
enum Mixing {
    /// For tables to keep, so that lookups need not ask whether it is there yet.
    static let processSeed = UInt64.random(in: 0 ... .max)

    /// Mixes three words.
    @inlinable
    @inline(__always)
    static func mix(_ first: UInt64, _ second: UInt64, _ third: UInt64, seed: UInt64) -> UInt64 {
        finish(pair(first, second, seed) ^ (third ^ seed) &* 0x1656_67B1_9E37_79F9)
    }

    /// Mixes five words; the products do not depend on each other, so they overlap in time.
    @inlinable
    @inline(__always)
    static func mix(
        _ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64, _ fifth: UInt64, seed: UInt64
    ) -> UInt64 {
        finish(
            pair(first, second, seed) ^ (third ^ seed) &* 0x1656_67B1_9E37_79F9
                ^ rotate(pair(fourth, fifth, rotate(seed) &* 0x27D4_EB2F_1656_67C5)))
    }

    /// The halves of the product of two words that nobody outside knows.
    @inlinable
    @inline(__always)
    static func pair(_ first: UInt64, _ second: UInt64, _ seed: UInt64) -> UInt64 {
        let product = (first ^ seed).multipliedFullWidth(by: second ^ rotate(seed) ^ 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }

    @inlinable
    @inline(__always)
    static func rotate(_ word: UInt64) -> UInt64 { word &<< 31 | word &>> 33 }

    @inlinable
    @inline(__always)
    static func finish(_ word: UInt64) -> UInt64 {
        let mixed = (word ^ word &>> 32) &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ mixed &>> 32
    }

    /// The smallest power of two that is at least `least`.
    static func powerOfTwo(_ least: Int) -> Int {
        var size = 1
        while size < least { size *= 2 }
        return size
    }
}
