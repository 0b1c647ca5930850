import CLibCrypto
import CLinux

/// The memory that a batch finds behind `ESPOperation.context`, in Swift's types.
protocol OpenSSLContext {
    /// First, so that its address is the context's.
    var header: ESPContextHeader { get }
}

extension OpenSSLContext {
    /// The part of a batch's C call for packets of one SA: `body` for each, and its status written. None is left running.
    @inline(__always)
    static func run(
        _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int,
        _ body: (inout Self, UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status
    ) -> Int {
        var operation = operations.assumingMemoryBound(to: ESPOperation.self)
        let end = operation + count
        while operation < end {
            let next = operation + 1
            if next < end { sluice_prefetch_write(next.pointee.header) }
            operation.pointee.status = body(&context.assumingMemoryBound(to: Self.self).pointee, operation)
            operation = next
        }
        return 0
    }
}

/// Key material cut into its parts.
struct KeyParts {
    let encryption: UnsafeRawBufferPointer
    /// The salt as it lies in memory; 0 when the transform has none.
    let salt: UInt32
    let integrity: UnsafeRawBufferPointer

    /// `key` has the length that the transform says (the engine checked).
    init(_ key: UnsafeRawBufferPointer, transform: ESPTransform) {
        let saltStart = transform.encryptionKeyLength
        let integrityStart = saltStart + transform.saltLength
        encryption = UnsafeRawBufferPointer(rebasing: key[..<saltStart])
        salt = transform.saltLength == 4 ? key.loadUnaligned(fromByteOffset: saltStart, as: UInt32.self) : 0
        integrity = UnsafeRawBufferPointer(rebasing: key[integrityStart...])
    }
}

/// An address that its one owner may free on any thread.
struct SendableAddress: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}

/// A library's object that its one owner may free on any thread.
struct SendableHandle: @unchecked Sendable {
    let handle: OpaquePointer
    init(_ handle: OpaquePointer) { self.handle = handle }
}

extension ESPCipher {
    /// Puts `value` into secret memory, as the context. `release` frees what it refers to.
    convenience init<Context: OpenSSLContext>(
        owning value: Context, transform: ESPTransform, direction: CipherDirection,
        release: @escaping @Sendable () -> Void
    ) {
        let size = MemoryLayout<Context>.size
        let memory = SecretMemory.allocate(byteCount: size)
        memory.bindMemory(to: Context.self, capacity: 1).initialize(to: value)
        let owned = SendableAddress(memory)
        self.init(context: memory, transform: transform, direction: direction) {
            release()
            SecretMemory.deallocate(owned.pointer, byteCount: size)
        }
    }
}
