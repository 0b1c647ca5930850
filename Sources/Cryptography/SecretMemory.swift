import CLibCrypto
import Platform
import Synchronization

/// An allocator for key material: its pages are locked into memory as far as RLIMIT_MEMLOCK allows, left out of core
/// dumps, and every block is zeroed before it is free again.
///
/// Blocks are 64-byte aligned and come in powers of two from 64 bytes up, cut from chunks of 64 KiB, so that tens of
/// thousands of keys need a few mappings only. For the control side: it takes a lock.
public enum SecretMemory {
    /// A zeroed block of at least `byteCount` bytes. Traps when the system has no memory left, as Swift's own
    /// allocations do.
    static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        pool.withLock { $0.allocate(sizeClass: sizeClass(byteCount)) }.pointer
    }

    /// Zeroes the block and takes it back. `byteCount` is what `allocate` was asked for.
    static func deallocate(_ block: UnsafeMutableRawPointer, byteCount: Int) {
        OPENSSL_cleanse(block, byteCount)
        let block = SecretBlock(pointer: block)
        pool.withLock { $0.deallocate(block, sizeClass: sizeClass(byteCount)) }
    }

    /// Whether every page so far could be locked; false means that keys might reach swap space (raise RLIMIT_MEMLOCK
    /// or grant CAP_IPC_LOCK).
    public static var isLocked: Bool { pool.withLock { $0.unlockedChunks == 0 } }

    /// Zeroes memory that held secrets, in a way that no optimisation leaves out.
    public static func erase(_ bytes: UnsafeMutableRawBufferPointer) {
        OPENSSL_cleanse(bytes.baseAddress, bytes.count)
    }

    private static let pool = Mutex(SecretPool())

    /// The power of two that holds `byteCount` bytes, as its exponent.
    private static func sizeClass(_ byteCount: Int) -> Int {
        let size = max(byteCount, SecretPool.minimumBlock)
        return Int.bitWidth - (size - 1).leadingZeroBitCount
    }
}

/// A pointer that may cross into the pool's lock.
private struct SecretBlock: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
}

/// The allocator's state: one list of free blocks per size class, and the unused rest of the newest chunk.
private struct SecretPool: ~Copyable {
    static let minimumBlock = 64
    static let chunkSize = 64 * 1024

    private var free: [[UInt]] = Array(repeating: [], count: Int.bitWidth)
    private var rest: UInt = 0
    private var restCount = 0
    private(set) var unlockedChunks = 0

    mutating func allocate(sizeClass: Int) -> SecretBlock {
        if let address = free[sizeClass].popLast() { return Self.block(address) }
        let size = 1 << sizeClass
        if size >= Self.chunkSize { return Self.block(map(size)) }
        if restCount < size {
            // The rest is smaller than this block: keep it for smaller ones.
            releaseRest()
            rest = map(Self.chunkSize)
            restCount = Self.chunkSize
        }
        restCount -= size
        // From the end; every size is a multiple of 64, so every block is aligned to 64 bytes.
        return Self.block(rest + UInt(restCount))
    }

    mutating func deallocate(_ block: SecretBlock, sizeClass: Int) {
        free[sizeClass].append(UInt(bitPattern: block.pointer))
    }

    /// Files the unused rest of the chunk under the sizes it can serve.
    private mutating func releaseRest() {
        while restCount >= Self.minimumBlock {
            let sizeClass = Int.bitWidth - 1 - restCount.leadingZeroBitCount
            restCount -= 1 << sizeClass
            free[sizeClass].append(rest + UInt(restCount))
        }
    }

    private mutating func map(_ byteCount: Int) -> UInt {
        guard let pages = try? MappedMemory(.reserved, byteCount: byteCount) else {
            fatalError("out of memory for key material (\(byteCount) bytes)")
        }
        let isLeftOut = pages.advise(.leftOutOfDumps)
        if !pages.lock() || !isLeftOut { unlockedChunks += 1 }
        return UInt(bitPattern: pages.leak())
    }

    private static func block(_ address: UInt) -> SecretBlock {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else { fatalError("null block") }
        return SecretBlock(pointer: pointer)
    }
}
