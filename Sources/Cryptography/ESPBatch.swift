import CLinux

/// One packet for the engine; owns nothing. Everything about the packet follows from its ESP header's address: SPI and
/// sequence number (8 bytes), IV, payload with padding and trailer, ICV, all contiguous (RFC 4303 section 2).
@frozen public struct ESPOperation: BitwiseCopyable {
    /// The outcome for the packet; written by the engine.
    @frozen public enum Status: UInt8, Sendable, BitwiseCopyable {
        /// Sealed, or opened with a correct ICV.
        case ok
        /// The ICV is wrong, or no packet of this transform can look like that. Nothing of the payload is usable.
        case integrityFailure
        /// The engine failed, or the caller's length does not fit the transform. Nothing of the packet is usable.
        case failure
        /// The engine has the packet and is not done with it: nobody else may touch its bytes.
        case running
    }

    /// An `ESPCipher`'s context: it says which key, and whether to seal or to open.
    public var context: UnsafeMutableRawPointer
    /// The ESP header. To seal, the caller has written SPI and sequence number and the plain payload, and there is
    /// room for the ICV behind it.
    public var header: UnsafeMutableRawPointer
    /// The explicit IV for sealing with a counter mode, which the engine writes behind the header in network order. It
    /// must never repeat under one key. Unused otherwise (the engine makes CBC's unpredictable IV by itself).
    public var iv: UInt64
    /// Bytes between IV and ICV.
    public var payloadLength: UInt32
    /// The sequence number's high 32 bits, authenticated when the cipher was made for extended sequence numbers.
    public var sequenceHigh: UInt32
    public var status: Status

    @inlinable public init(
        context: UnsafeMutableRawPointer, header: UnsafeMutableRawPointer, iv: UInt64 = 0, payloadLength: UInt32,
        sequenceHigh: UInt32 = 0
    ) {
        self.context = context
        self.header = header
        self.iv = iv
        self.payloadLength = payloadLength
        self.sequenceHigh = sequenceHigh
        status = .failure
    }
}

/// The first bytes of every context, whichever engine made it: all that a batch knows about ciphers.
@frozen public struct ESPContextHeader {
    /// Seals or opens packets of one SA: (the context, the first of its `ESPOperation`s, their number). Returns how many of them
    /// it has left `running`; an engine that does all at once returns 0. Neither allocates nor locks nor makes a system call.
    public typealias Process = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int) -> Int

    public let process: Process
    /// Asks for packets that `process` has left running, with the same arguments; returns how many still are. nil for an engine
    /// that leaves none.
    public let collect: Process?
    /// The memory that the cipher will read beside its context: key schedule, hash tables. For prefetching only; nil
    /// for nothing.
    @usableFromInline let companions: (UnsafeRawPointer?, UnsafeRawPointer?)

    @inlinable public init(
        process: @escaping Process, collect: Process? = nil,
        companions: (UnsafeRawPointer?, UnsafeRawPointer?) = (nil, nil)
    ) {
        self.process = process
        self.collect = collect
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

/// Runs the ciphers of many packets, of the same or of different SAs. An engine gets whole runs of packets of one SA.
public enum ESPBatch {
    /// Seals or opens `count` packets in place, as each one's context says, and sets each status. Returns how many of them are
    /// still `running`: `collect` asks for those, and their memory belongs to the engine until then. Does not allocate, lock
    /// or make a system call. No two threads may use the same context at the same time.
    @discardableResult
    @inlinable public static func run(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) -> Int {
        var running = 0
        var index = 0
        while index < count {
            let first = operations + index
            let context = first.pointee.context
            let end = endOfRun(operations, from: index, count: count)
            prefetch(operations, from: end, count: count, isAlone: end &- index == 1)
            running &+= header(of: context).pointee.process(context, UnsafeMutableRawPointer(first), end &- index)
            index = end
        }
        return running
    }

    /// Asks the engines for packets that they have left running, and sets the status of those that are done. Returns how many
    /// still run.
    @inlinable public static func collect(_ operations: UnsafeMutablePointer<ESPOperation>, count: Int) -> Int {
        var running = 0
        var index = 0
        while index < count {
            let first = operations + index
            let context = first.pointee.context
            let end = endOfRun(operations, from: index, count: count)
            if let collect = header(of: context).pointee.collect {
                running &+= collect(context, UnsafeMutableRawPointer(first), end &- index)
            }
            index = end
        }
        return running
    }

    /// The operation behind those that have the same context.
    @inlinable @inline(__always)
    static func endOfRun(_ operations: UnsafeMutablePointer<ESPOperation>, from index: Int, count: Int) -> Int {
        let context = operations[index].context
        var end = index &+ 1
        while end < count, operations[end].context == context { end &+= 1 }
        return end
    }

    /// Packets of one SA come in trains; where the SA changes, its key is on its way before its turn: what the context
    /// points at one run ahead, and two where runs are single packets. The context itself was fetched by `prepare`.
    @inlinable @inline(__always)
    static func prefetch(
        _ operations: UnsafeMutablePointer<ESPOperation>, from next: Int, count: Int, isAlone: Bool
    ) {
        if next >= count { return }
        sluice_prefetch_write(operations[next].header)
        if !isAlone { header(of: operations[next].context).pointee.prefetchCompanions() }
        if next &+ 1 < count, operations[next &+ 1].context != operations[next].context {
            header(of: operations[next &+ 1].context).pointee.prefetchCompanions()
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
