/// Memory as that of `HotArray`, but changed in place and as long as needed: of tables that nobody reads while they change.
/// Elements are plain values.
final class HotVector<Element> {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count: Int
    private var capacity: Int

    init(repeating element: Element, count: Int) {
        capacity = max(1, count)
        self.count = count
        base = Self.allocate(capacity)
        base.initialize(repeating: element, count: count)
    }

    convenience init(_ elements: [Element]) {
        self.init(copying: nil, count: 0)
        replace(with: elements)
    }

    private init(copying source: UnsafePointer<Element>?, count: Int) {
        capacity = max(1, count)
        self.count = count
        base = Self.allocate(capacity)
        if let source { base.initialize(from: source, count: count) }
    }

    deinit {
        base.deinitialize(count: count)
        UnsafeMutableRawPointer(base).deallocate()
    }

    func copy() -> HotVector { HotVector(copying: base, count: count) }

    func append(_ element: Element) {
        reserve(count + 1)
        (base + count).initialize(to: element)
        count += 1
    }

    /// Makes it at least so long.
    func grow(to wanted: Int, repeating element: Element) {
        guard wanted > count else { return }
        reserve(wanted)
        (base + count).initialize(repeating: element, count: wanted - count)
        count = wanted
    }

    func replace(with elements: [Element]) {
        base.deinitialize(count: count)
        count = 0
        reserve(elements.count)
        for element in elements { append(element) }
    }

    private func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let larger = max(wanted, capacity * 2)
        let memory = Self.allocate(larger)
        memory.moveInitialize(from: base, count: count)
        UnsafeMutableRawPointer(base).deallocate()
        base = memory
        capacity = larger
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutablePointer<Element> {
        let byteCount = capacity * MemoryLayout<Element>.stride
        return UnsafeMutableRawPointer.allocate(byteCount: (byteCount + 63) / 64 * 64, alignment: 64)
            .bindMemory(to: Element.self, capacity: capacity)
    }
}
