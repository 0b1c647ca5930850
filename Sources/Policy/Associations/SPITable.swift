import CLinux
import IPsec
import Packets

/// The inbound SAs by SPI: open addressing over whole cache lines.
///
/// A line holds four entries. A lookup begins at the line that the SPI hashes to and goes on to the next only when that
/// one is full, which at a load of at most one half is rare. SPIs are of our own choice or from the configuration,
/// so nobody else can make them collide.
@frozen
@usableFromInline
struct SPITable: BitwiseCopyable, @unchecked Sendable {
    @frozen
    @usableFromInline
    struct Entry: BitwiseCopyable {
        /// Network order, as in the packet.
        @usableFromInline var spi: UInt32
        /// Index of the SA's `InboundLink`.
        @usableFromInline var link: UInt32
        /// nil: the entry is free.
        @usableFromInline var sa: UnsafeMutablePointer<InboundRuntime>?

        init(spi: UInt32, link: UInt32, sa: UnsafeMutablePointer<InboundRuntime>?) {
            self.spi = spi
            self.link = link
            self.sa = sa
        }
    }

    @usableFromInline let entries: UnsafePointer<Entry>
    /// Number of lines minus one.
    @usableFromInline let lineMask: UInt32

    /// The entry of the SPI, or a free one.
    @inlinable
    @inline(__always)
    func find<Steps: LookupSteps>(_ spi: UInt32, steps: inout Steps) -> UnsafePointer<Entry> {
        var line = lineOf(spi)
        while true {
            steps.tuple()
            let first = entries + Int(line) &* 4
            var index = 0
            while index < 4 {
                steps.entry()
                // Half of all entries are free, so the loop ends.
                if first[index].spi == spi || first[index].sa == nil { return first + index }
                index &+= 1
            }
            line = (line &+ 1) & lineMask
        }
    }

    @inlinable
    @inline(__always)
    func prefetch(_ spi: UInt32) { sluice_prefetch(entries + Int(lineOf(spi)) &* 4) }

    @inlinable
    @inline(__always)
    func lineOf(_ spi: UInt32) -> UInt32 {
        // Of a product only the upper bits depend on all bits of both factors; SPIs of one range differ in their last
        // byte in network order, which is the topmost here.
        let mixed = UInt64(spi) &* 0x9E37_79B9_7F4A_7C15
        return UInt32(truncatingIfNeeded: mixed &>> 32 ^ mixed &>> 51) & lineMask
    }
}
