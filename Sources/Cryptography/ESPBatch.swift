import CLinux

/// The first bytes of every context, whichever engine made it: all that a batch knows about ciphers.
@frozen public struct ESPContextHeader {
    /// Seals or opens one packet: (the context, its `ESPOperation`). Neither allocates nor locks nor makes a system call.
    public typealias Process = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void

    public let process: Process
    /// The memory that the cipher will read beside its context: key schedule, hash tables. For prefetching only; nil
    /// for nothing.
    @usableFromInline let companions: (UnsafeRawPointer?, UnsafeRawPointer?)

    @inlinable public init(
        process: @escaping Process, companions: (UnsafeRawPointer?, UnsafeRawPointer?) = (nil, nil)
    ) {
        self.process = process
        self.companions = companions
    }

    /// Brings the companions near: as many cache lines of each as a key schedule with its tables takes.
    @inlinable @inline(__always) func prefetchCompanions() {
        Self.prefetch(companions.0)
        Self.prefetch(companions.1)
    }

    @inlinable @inline(__always) static func prefetch(_ object: UnsafeRawPointer?) {
        guard let object else { return }
        var line = 0
        while line < 7 {
            sluice_prefetch(object + line &* 64)
            line &+= 1
        }
    }
}

/// Runs the ciphers of many packets, of the same or of different SAs.
public enum ESPBatch {
    /// Seals or opens `count` packets in place, as each one's context says, and sets each status. Does not allocate,
    /// lock or make a system call. No two threads may use the same context at the same time.
    @inlinable public static func run(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) {
        var index = 0
        while index < count {
            let operation = operations + index
            index &+= 1
            let left = count &- index
            if left > 0 {
                sluice_prefetch_write(operation[1].header)
                prefetch(operation, left: left)
            }
            let context = operation.pointee.context
            header(of: context).pointee.process(context, UnsafeMutableRawPointer(operation))
        }
    }

    /// Packets of one SA come in trains; where the SA changes, its key is on its way before its turn: what the context
    /// points at two packets ahead. The context itself was fetched by `prepare`.
    @inlinable @inline(__always) static func prefetch(_ operation: UnsafeMutablePointer<ESPOperation>, left: Int) {
        if left > 1, operation[2].context != operation[1].context {
            header(of: operation[2].context).pointee.prefetchCompanions()
        }
    }

    /// Fetches the key of an operation that will be run with its batch.
    @inlinable @inline(__always) public static func prepare(_ operation: UnsafePointer<ESPOperation>) {
        sluice_prefetch(operation.pointee.context)
        sluice_prefetch(operation.pointee.context + 64)
    }

    @inlinable @inline(__always)
    static func header(of context: UnsafeMutableRawPointer) -> UnsafePointer<ESPContextHeader> {
        UnsafePointer(context.assumingMemoryBound(to: ESPContextHeader.self))
    }
}
