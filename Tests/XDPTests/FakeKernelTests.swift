import InMemory
import Testing
import XDP

@Suite struct FakeKernelTests {
    @Test func packetsGoInAndOut() throws {
        let umem = try UMEM(frames: 16, hugePages: .never)
        var pool = FramePool(umem: umem, frames: 0..<16)
        let kernel = FakeKernel(umem: umem, ringSize: 8)
        var rings = kernel.makeRings()
        #expect(rings.fileDescriptor == -1)
        #expect(rings.kick() == 0)
        #expect(rings.wakeReceive() == 0)

        #expect(!kernel.deliver([1, 2, 3]), "no free frame yet")
        #expect(pool.refill(&rings.fill, upTo: 100) == 8)
        let packets: [[UInt8]] = (0..<8).map { [UInt8](repeating: UInt8($0), count: 60 + $0) }
        for packet in packets { #expect(kernel.deliver(packet)) }
        #expect(!kernel.deliver([1]), "the receive ring is full")
        #expect(kernel.refused == 2)

        let (index, ready) = rings.receive.peek(upTo: 64)
        #expect(ready == 8)
        for offset in 0..<ready {
            let descriptor = rings.receive.read(at: index &+ UInt32(offset))
            #expect(descriptor.address % 2048 == UInt64(UMEM.headroom))
            #expect(descriptor.length == UInt32(packets[offset].count))
            // Sends it back from 10 bytes further on.
            let shorter = XDPDescriptor(address: descriptor.address + 10, length: descriptor.length - 10)
            #expect(rings.transmit.push(shorter) == true)
        }
        rings.receive.release(ready)
        #expect(kernel.transmitted() == packets.map { Array($0.dropFirst(10)) })
        #expect(kernel.transmitted().isEmpty)
        #expect(pool.count == 8)
        #expect(pool.reclaim(&rings.completion, upTo: 64) == 8)
        #expect(pool.count == 16)
    }

    @Test func tooLargeAPacketIsRefused() throws {
        let umem = try UMEM(frames: 2, hugePages: .never)
        var pool = FramePool(umem: umem, frames: 0..<2)
        let kernel = FakeKernel(umem: umem, ringSize: 2)
        var rings = kernel.makeRings()
        #expect(pool.refill(&rings.fill, upTo: 2) == 2)
        #expect(!kernel.deliver([UInt8](repeating: 0, count: 1793)))
        #expect(kernel.deliver([UInt8](repeating: 0, count: 1792)))
    }

    @Test func framesGoByAddress() throws {
        let umem = try UMEM(frames: 8, hugePages: .never)
        var pool = FramePool(umem: umem, frames: 0..<8)
        let kernel = FakeKernel(umem: umem, ringSize: 4)
        var rings = kernel.makeRings()
        #expect(pool.refill(&rings.fill, upTo: 4) == 4)
        var free = [UInt64](repeating: 0, count: 8)
        #expect(kernel.takeFree(into: &free, upTo: 8) == 4)
        var descriptors = free.prefix(4).map { XDPDescriptor(address: $0 + 256, length: 60) }
        #expect(kernel.receive(from: descriptors, count: 4) == 4)
        while let descriptor = rings.receive.pop() { #expect(rings.transmit.push(descriptor) == true) }
        #expect(kernel.takeTransmitted(into: &descriptors, upTo: 4) == 4)
        #expect(kernel.complete(descriptors, count: 4) == 4)
        #expect(pool.reclaim(&rings.completion, upTo: 8) == 4)
        #expect(pool.count == 8)
    }
}
