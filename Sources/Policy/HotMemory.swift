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
