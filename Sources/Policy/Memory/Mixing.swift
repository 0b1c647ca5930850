/// Hashing for the tables of this module. The keys come from the configuration, the kernel or our own choice of SPIs,
/// never from the network, so a fixed hash cannot be attacked: whoever sends packets only chooses what is looked up.
@usableFromInline
enum Mixing {
    /// Mixes three words; the products do not depend on each other, so they overlap in time.
    @inlinable
    @inline(__always)
    static func mix(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> UInt64 {
        finish(
            first &* 0x9E37_79B9_7F4A_7C15 ^ rotate(second &* 0xC2B2_AE3D_27D4_EB4F) ^ third &* 0x1656_67B1_9E37_79F9)
    }

    /// Mixes five words.
    @inlinable
    @inline(__always)
    static func mix(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64, _ fifth: UInt64) -> UInt64 {
        let upper = fourth &* 0x27D4_EB2F_1656_67C5 ^ rotate(fifth &* 0xD6E8_FEB8_6659_FD93)
        return finish(
            first &* 0x9E37_79B9_7F4A_7C15 ^ rotate(second &* 0xC2B2_AE3D_27D4_EB4F) ^ third &* 0x1656_67B1_9E37_79F9
                ^ upper)
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
