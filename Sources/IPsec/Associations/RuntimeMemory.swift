#if canImport(Glibc)
    import Glibc
#endif

/// Memory of runtime records: on cache lines of its own, and zeroed before it is given back.
enum RuntimeMemory {
    static let alignment = 64

    /// Zeroed memory, a multiple of 64 bytes.
    static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        let size = rounded(byteCount)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        return memory
    }

    /// Zeroes even though nobody reads it any more: a stale pointer finds nothing.
    static func deallocate(_ memory: UnsafeMutableRawPointer, byteCount: Int) {
        explicit_bzero(memory, rounded(byteCount))
        memory.deallocate()
    }

    static func rounded(_ byteCount: Int) -> Int { (byteCount + alignment - 1) / alignment * alignment }
}
