import Glibc

/// Memory mapped from the kernel in whole pages, unmapped when it is released.
public struct MappedMemory: ~Copyable, @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    public let kind: Kind

    /// The kinds of memory.
    public enum Kind: Sendable {
        /// Shared with the kernel through a descriptor.
        case shared
        /// Zeroed pages as they are touched, counted against the limits of memory at once.
        case reserved
        /// Zeroed pages as they are touched, counted when they are.
        case lazy
        /// Zeroed huge pages out of the system's pool, taken at once: a lack is an error now instead of a SIGBUS later.
        case hugePages
    }

    /// Wishes about the treatment of the pages.
    public enum Advice: Sendable {
        /// Huge pages where the kernel can.
        case hugePages
        /// Left out of core dumps.
        case leftOutOfDumps
    }

    /// Maps zeroed memory of this process alone.
    public init(_ kind: Kind, byteCount: Int) throws(Errno) {
        let more =
            switch kind {
            case .shared: throw .invalidArgument
            case .reserved: Int32(0)
            case .lazy: Int32(MAP_NORESERVE)
            case .hugePages: Int32(MAP_HUGETLB)
            }
        try self.init(
            kind, byteCount: byteCount, flags: MAP_PRIVATE | MAP_ANONYMOUS | more, descriptor: -1, offset: 0)
    }

    /// Maps memory that is shared with the kernel through a descriptor, all of it resident at once.
    public init(of descriptor: borrowing Descriptor, offset: Int, byteCount: Int) throws(Errno) {
        try self.init(
            .shared, byteCount: byteCount, flags: MAP_SHARED | Int32(MAP_POPULATE), descriptor: descriptor.number,
            offset: offset)
    }

    private init(_ kind: Kind, byteCount: Int, flags: Int32, descriptor: Int32, offset: Int) throws(Errno) {
        guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, offset), base != MAP_FAILED
        else { throw .last }
        self.kind = kind
        self.base = base
        self.byteCount = byteCount
    }

    deinit { munmap(base, byteCount) }

    /// Leaves the memory mapped until the process ends.
    public consuming func leak() -> UnsafeMutableRawPointer {
        let base = base
        discard self
        return base
    }

    /// Tells the kernel a wish; false when it does not know it.
    @discardableResult
    public func advise(_ advice: Advice) -> Bool {
        let number =
            switch advice {
            case .hugePages: Int32(MADV_HUGEPAGE)
            case .leftOutOfDumps: Int32(MADV_DONTDUMP)
            }
        return madvise(base, byteCount, number) == 0
    }

    /// Keeps the pages out of swap space; false when the limit of locked memory does not allow it.
    public func lock() -> Bool { mlock(base, byteCount) == 0 }
}
