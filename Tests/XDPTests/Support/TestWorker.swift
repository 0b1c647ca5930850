import Foundation
import XDP

/// The least that a worker does with one queue: fill, receive, send, reclaim.
final class TestWorker {
    private let umem: UMEM
    private let frameCount: Int
    private var pool: FramePool
    private var rings: SocketRings

    /// Takes the port's rings and gives half of its frames to the fill ring.
    init(_ port: XDPPort, queue: Int, umem: UMEM, frames: Range<Int>) throws {
        let rings = try PortPair.rings(port, queue: queue)
        self.umem = umem
        frameCount = frames.count
        self.rings = rings
        pool = FramePool(umem: umem, frames: frames)
        _ = pool.refill(&self.rings.fill, upTo: frames.count / 2)
    }

    /// Waits for packets, takes what there is and gives their frames back; nothing after `milliseconds`.
    func receive(within milliseconds: Int32) -> [[UInt8]] {
        rings.wakeReceive()
        var events = pollfd(fd: rings.fileDescriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&events, 1, milliseconds) > 0 else { return [] }
        var packets: [[UInt8]] = []
        while let descriptor = rings.receive.pop() {
            let start = UnsafeRawPointer(umem.pointer(at: descriptor.address))
            packets.append([UInt8](UnsafeRawBufferPointer(start: start, count: Int(descriptor.length))))
            pool.push(descriptor.address)
            _ = pool.refill(&rings.fill, upTo: 1)
        }
        return packets
    }

    /// Sends packets, in batches when they don't fit; false when the kernel doesn't take them in time.
    func send(_ packets: [[UInt8]]) -> Bool {
        var patience = 2_000
        for packet in packets {
            var address = pool.pop()
            while address == FramePool.empty {
                guard drain(&patience) else { return false }
                address = pool.pop()
            }
            let start = umem.pointer(at: address + 100)
            for (offset, byte) in packet.enumerated() {
                start.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            }
            while !rings.transmit.push(XDPDescriptor(address: address + 100, length: UInt32(packet.count))) {
                guard drain(&patience) else { return false }
            }
        }
        while rings.transmit.pending > 0 { guard drain(&patience) else { return false } }
        return true
    }

    /// Kicks the kernel and takes sent frames back.
    private func drain(_ patience: inout Int) -> Bool {
        patience -= 1
        rings.kick()
        if pool.reclaim(&rings.completion, upTo: 64) == 0 { usleep(500) }
        return patience > 0
    }

    /// Waits until all frames are in the pool or in the fill ring again; false when some don't come back.
    func settles() -> Bool {
        var patience = 2_000
        while pool.count + rings.fill.pending < frameCount { guard drain(&patience) else { return false } }
        return pool.count + rings.fill.pending == frameCount
    }
}
