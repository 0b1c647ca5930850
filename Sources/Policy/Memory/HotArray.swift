/// Memory for tables that workers read through bare pointers: made once by the control side, aligned to a cache line,
/// freed with the object. It always has an address, also when it is empty.
final class HotArray<Element>: @unchecked Sendable {
    // Written while its table is built, by one thread and before anyone else sees it; then only read.
    let base: UnsafeMutablePointer<Element>
    let count: Int

    private init(uninitialized count: Int) {
        let byteCount = max(1, count) * MemoryLayout<Element>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: (byteCount + 63) / 64 * 64, alignment: 64)
        base = memory.bindMemory(to: Element.self, capacity: max(1, count))
        self.count = count
    }

    convenience init(repeating element: Element, count: Int) {
        self.init(uninitialized: count)
        base.initialize(repeating: element, count: count)
    }

    convenience init(_ elements: [Element]) {
        self.init(uninitialized: elements.count)
        for (index, element) in elements.enumerated() { (base + index).initialize(to: element) }
    }

    deinit {
        base.deinitialize(count: count)
        UnsafeMutableRawPointer(base).deallocate()
    }
}
