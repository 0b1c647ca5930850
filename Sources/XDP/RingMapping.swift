import CXDP
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One ring of a socket, mapped from the kernel. Unmapped when released.
final class RingMapping: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let size: Int
    private let offsets: xdp_ring_offset
    private let count: UInt32

    /// Maps the ring at `page` (one of the kernel's `PGOFF` constants), with `count` elements of `elementSize` bytes.
    init(
        _ socket: SocketDescriptor, _ offsets: xdp_ring_offset, _ count: UInt32, _ elementSize: Int, _ page: Int
    ) throws(XDPError) {
        size = Int(offsets.desc) + Int(count) * elementSize
        let flags = MAP_SHARED | Int32(MAP_POPULATE)
        guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, flags, socket.value, page), base != MAP_FAILED else {
            throw .socket(place: "map a ring of an AF_XDP socket", errno: errno)
        }
        self.base = base
        self.offsets = offsets
        self.count = count
    }

    deinit { munmap(base, size) }

    /// The places of the ring's parts. `owner` keeps this mapping alive.
    func memory<Element: BitwiseCopyable>(owner: AnyObject) -> RingMemory<Element> {
        RingMemory(
            producer: word(offsets.producer), consumer: word(offsets.consumer), flags: word(offsets.flags),
            slots: (base + Int(offsets.desc)).assumingMemoryBound(to: Element.self), capacity: count, owner: owner)
    }

    private func word(_ offset: UInt64) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }
}
