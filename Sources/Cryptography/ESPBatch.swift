import CLinux

/// The first bytes of every context, whichever engine made it: all that a batch knows about ciphers.
@frozen public struct ESPContextHeader {
    /// Seals or opens one packet: (the context, its `ESPOperation`). Neither allocates nor locks nor makes a system call.
    public typealias Process = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void

    public let process: Process

    @inlinable public init(process: @escaping Process) { self.process = process }
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
            if index < count {
                sluice_prefetch(operations[index].context)
                sluice_prefetch_write(operations[index].header)
            }
            let context = operation.pointee.context
            let process = UnsafeRawPointer(context).assumingMemoryBound(to: ESPContextHeader.self).pointee.process
            process(context, UnsafeMutableRawPointer(operation))
        }
    }
}
