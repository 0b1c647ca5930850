#if DEBUG
    import Synchronization

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
