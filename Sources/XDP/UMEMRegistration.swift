import CLibXDP
import Synchronization

/// One port's registration of the UMEM with the kernel, on which the sockets of the port's queues are built.
///
/// Every port registers the same memory anew, and its queues share that registration (`XDP_SHARED_UMEM`): frames move
/// freely between all of them, but zero-copy or copy is a matter of the registration. So one port whose driver only copies
/// doesn't take zero-copy from the others.
final class UMEMRegistration: @unchecked Sendable {
    let handle: OpaquePointer
    private let umem: UMEM
    private let ownRings = FrameRings()
    private let isFresh = Mutex(true)

    init(_ umem: UMEM, ringSize: Int) throws(XDPError) {
        var config = xsk_umem_config(
            fill_size: UInt32(ringSize), comp_size: UInt32(ringSize), frame_size: UInt32(umem.frameSize),
            frame_headroom: 0, flags: 0)
        var handle: OpaquePointer?
        let result = xsk_umem__create(
            &handle, umem.base, UInt64(umem.registeredSize), ownRings.fill, ownRings.completion, &config)
        guard result == 0, let handle else {
            throw .socket(place: "register \(umem.registeredSize >> 10) KiB of frames", errno: -result)
        }
        self.umem = umem
        self.handle = handle
    }

    deinit { xsk_umem__delete(handle) }

    /// The ring descriptions for the next socket: the first takes over the registration's own descriptor and rings.
    func nextRings() -> FrameRings {
        isFresh.withLock { fresh in
            defer { fresh = false }
            return fresh ? ownRings : FrameRings()
        }
    }
}

/// libxdp's descriptions of a fill and a completion ring. libxdp keeps pointers to them as long as the socket lives.
final class FrameRings: @unchecked Sendable {
    let fill: UnsafeMutablePointer<xsk_ring_prod>
    let completion: UnsafeMutablePointer<xsk_ring_cons>

    init() {
        fill = .allocate(capacity: 1)
        completion = .allocate(capacity: 1)
        fill.initialize(to: xsk_ring_prod())
        completion.initialize(to: xsk_ring_cons())
    }

    deinit {
        fill.deallocate()
        completion.deallocate()
    }
}
