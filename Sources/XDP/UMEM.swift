import Platform

#if DEBUG
    import Synchronization
#endif

/// The memory of all packet frames: one area that every socket of every port uses, so that a packet moves between
/// ports and workers by its address alone.
///
/// A frame's address is its offset in bytes from `base`. The kernel writes a received packet ``headroom`` bytes into its
/// frame, which leaves room to grow outer headers in place.
public final class UMEM: Sendable {
    /// Bytes before a received packet in its frame (`XDP_PACKET_HEADROOM`).
    public static let headroom = 256

    /// Whether to ask for huge pages.
    public enum HugePages: String, Sendable, CaseIterable {
        /// Huge pages when the system has reserved enough of them, else ordinary memory.
        case auto
        /// Huge pages or an error.
        case require
        /// Ordinary memory.
        case never
    }

    /// The first byte of frame 0; page-aligned.
    public nonisolated(unsafe) let base: UnsafeMutableRawPointer
    /// Bytes per frame, headroom included: 2048 or 4096.
    public let frameSize: Int
    /// The number of frames.
    public let frameCount: Int
    /// Whether the memory came from reserved huge pages (2 MiB).
    public let usedHugePages: Bool
    private let memory: MappedMemory
    /// The length of the mapping, in bytes.
    public var mappedSize: Int { memory.byteCount }
    #if DEBUG
        /// Debug builds: who holds each frame.
        public let ledger: FrameLedger
    #endif

    /// Maps zeroed memory for `frames` frames of `frameSize` bytes (2048 or 4096, as the kernel's aligned mode wants).
    public init(frames: Int, frameSize: Int = 2048, hugePages: HugePages = .auto) throws(XDPError) {
        guard frameSize == 2048 || frameSize == 4096 else {
            throw .invalidArgument(what: "a frame size of \(frameSize) bytes", remedy: "use 2048 or 4096")
        }
        guard (1...(1 << 24)).contains(frames) else {
            throw .invalidArgument(what: "\(frames) frames", remedy: "use 1 to \(1 << 24) frames")
        }
        memory = try Self.map(bytes: frames * frameSize, hugePages: hugePages)
        // Transparent huge pages where the kernel can: fewer TLB misses at no cost. Refusal does no harm.
        usedHugePages = memory.kind == .hugePages
        if hugePages != .never, !usedHugePages { memory.advise(.hugePages) }
        // Packets in the clear don't belong into core dumps.
        memory.advise(.leftOutOfDumps)
        base = memory.base
        self.frameSize = frameSize
        frameCount = frames
        #if DEBUG
            ledger = FrameLedger(frames: frames)
        #endif
    }

    /// The bytes that sockets register: whole frames only.
    public var registeredSize: Int { frameCount * frameSize }

    /// The first byte at `address` (an offset from `base`).
    @inlinable public func pointer(at address: UInt64) -> UnsafeMutableRawPointer {
        base + Int(truncatingIfNeeded: address)
    }

    private static func map(bytes: Int, hugePages: HugePages) throws(XDPError) -> MappedMemory {
        let hugePage = 2 << 20
        let rounded = (bytes + hugePage - 1) / hugePage * hugePage
        if hugePages != .never {
            do throws(Errno) {
                return try MappedMemory(.hugePages, byteCount: rounded)
            } catch {
                if hugePages == .require {
                    throw XDPError.hugePagesUnavailable(bytes: rounded, errno: error.rawValue)
                }
            }
        }
        do throws(Errno) {
            return try MappedMemory(.reserved, byteCount: rounded)
        } catch {
            throw XDPError.memoryUnavailable(bytes: rounded, errno: error.rawValue)
        }
    }
}

#if DEBUG
    /// Debug builds' record of every frame: in a pool, or out of all pools (in a ring, or in a worker's hands).
    ///
    /// A frame moves between pools through handover rings, so the record belongs to the UMEM and not to a pool. A push of a
    /// frame that is in a pool already (double free), a pop of one that is out, and a frame that doesn't exist each trap.
    public final class FrameLedger: @unchecked Sendable {
        private let states: UnsafeMutablePointer<Atomic<UInt8>>
        /// The number of frames of the UMEM.
        public let frameCount: Int
        private static let out: UInt8 = 0
        private static let pooled: UInt8 = 1

        init(frames: Int) {
            frameCount = frames
            states = .allocate(capacity: frames)
            for frame in 0..<frames { (states + frame).initialize(to: Atomic(Self.out)) }
        }

        deinit { states.deallocate() }

        /// Records that a pool took the frame in.
        public func enter(_ frame: Int) {
            precondition(frame >= 0 && frame < frameCount, "frame \(frame) doesn't belong to this UMEM")
            let before = states[frame].exchange(Self.pooled, ordering: .acquiringAndReleasing)
            precondition(before == Self.out, "frame \(frame) freed twice")
        }

        /// Records that a pool gave the frame out.
        public func leave(_ frame: Int) {
            precondition(frame >= 0 && frame < frameCount, "frame \(frame) doesn't belong to this UMEM")
            let before = states[frame].exchange(Self.out, ordering: .acquiringAndReleasing)
            precondition(before == Self.pooled, "frame \(frame) taken twice")
        }

        /// The frames that no pool holds. What is neither in a ring nor in a worker's hands among these has leaked.
        public func framesOut() -> [Int] {
            (0..<frameCount).filter { states[$0].load(ordering: .acquiring) == Self.out }
        }
    }
#endif
