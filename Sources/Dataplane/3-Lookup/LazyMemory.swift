import Glibc

/// Zeroed memory from the kernel, resident only where it was touched.
struct LazyMemory: ~Copyable {
    let base: UnsafeMutableRawPointer
    private let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = byteCount
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            // Only at start-up, never while packets flow.
            fatalError("no memory for a table of \(byteCount) bytes: \(errno)")
        }
        base = memory
    }

    deinit { munmap(base, byteCount) }
}
