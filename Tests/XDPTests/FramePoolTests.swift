import Testing
import XDP

@Suite struct FramePoolTests {
    @Test(arguments: [2048, 4096])
    func everyFrameIsGivenOutOnce(frameSize: Int) throws {
        let umem = try UMEM(frames: 64, frameSize: frameSize, hugePages: .never)
        var pool = FramePool(umem: umem, frames: 0..<64)
        #expect(pool.count == 64)
        var seen: Set<UInt64> = []
        while case let address = pool.pop(), address != FramePool.empty { seen.insert(address) }
        #expect(seen == Set((0..<64).map { UInt64($0 * frameSize) }))
        #expect(pool.count == 0)
        // A packet's address lies anywhere in its frame; the pool wants the frame.
        for address in seen { pool.push(address + UInt64.random(in: 0..<UInt64(frameSize))) }
        var again: Set<UInt64> = []
        while case let address = pool.pop(), address != FramePool.empty { again.insert(address) }
        #expect(again == seen)
        for address in again { pool.push(address) }
    }

    /// Random single and bulk operations, rings included: the frames out are exactly those that the test holds.
    @Test func framesAreConserved() throws {
        let umem = try UMEM(frames: 128, hugePages: .never)
        var pool = FramePool(umem: umem, frames: 0..<100)
        let ring = SPSCRing<UInt64>(capacity: 32)
        var fill = ring.producer()
        var kernel = ring.consumer()
        let completions = SPSCRing<UInt64>(capacity: 32)
        var completed = completions.producer()
        var completion = completions.consumer()
        var held: [UInt64] = []
        var inFill = 0
        var inCompletion = 0
        var block = [UInt64](repeating: 0, count: 16)
        for _ in 0..<3_000 {
            switch Int.random(in: 0..<6) {
            case 0:
                let address = pool.pop()
                if address != FramePool.empty { held.append(address) }
            case 1: if let address = held.popLast() { pool.push(address + 300) }
            case 2:
                let count = pool.pop(into: &block, upTo: Int.random(in: 0...16))
                held += block.prefix(count)
            case 3:
                let count = min(held.count, 16)
                pool.push(from: Array(held.suffix(count)), count: count)
                held.removeLast(count)
            case 4:
                inFill += pool.refill(&fill, upTo: Int.random(in: 0...32))
                while inCompletion < 32, let address = kernel.pop() {
                    inFill -= 1
                    inCompletion += completed.push(address) ? 1 : 0
                }
            default: inCompletion -= pool.reclaim(&completion, upTo: Int.random(in: 0...32))
            }
            #expect(pool.count + held.count + inFill + inCompletion == 100)
        }
        #if DEBUG
            #expect(umem.ledger.framesOut().count == held.count + inFill + inCompletion + 28)
        #endif
    }

    @Test func framesMoveBetweenPools() throws {
        let umem = try UMEM(frames: 8, hugePages: .never)
        var first = FramePool(umem: umem, frames: 0..<4)
        var second = FramePool(umem: umem, frames: 4..<8)
        while case let address = first.pop(), address != FramePool.empty { second.push(address) }
        #expect(first.count == 0)
        #expect(second.count == 8)
    }

    #if DEBUG
        @Test func releasedPoolLeavesItsFrames() throws {
            let umem = try UMEM(frames: 4, hugePages: .never)
            do {
                let pool = FramePool(umem: umem, frames: 0..<4)
                #expect(pool.count == 4)
                #expect(umem.ledger.framesOut().isEmpty)
            }
            #expect(umem.ledger.framesOut().count == 4)
            let pool = FramePool(umem: umem, frames: 0..<4)
            #expect(pool.count == 4)
        }

        @Test func doubleFreeTraps() async {
            await #expect(processExitsWith: .failure) {
                let umem = try UMEM(frames: 4, hugePages: .never)
                var pool = FramePool(umem: umem, frames: 0..<4)
                let address = pool.pop()
                pool.push(address)
                pool.push(address)
            }
        }

        @Test func foreignFrameTraps() async {
            await #expect(processExitsWith: .failure) {
                let umem = try UMEM(frames: 4, hugePages: .never)
                var pool = FramePool(umem: umem, frames: 0..<2)
                pool.push(4 * 2048)
            }
        }

        @Test func frameInTwoPoolsTraps() async {
            await #expect(processExitsWith: .failure) {
                let umem = try UMEM(frames: 4, hugePages: .never)
                let first = FramePool(umem: umem, frames: 0..<3)
                let second = FramePool(umem: umem, frames: 2..<4)
                _ = first.count + second.count
            }
        }
    #endif
}

@Suite struct UMEMTests {
    @Test(arguments: [(0, 2048), (-1, 2048), (16, 1024), (16, 3000), (1 << 25, 2048)])
    func impossibleGeometryIsRefused(frames: Int, frameSize: Int) {
        #expect {
            try UMEM(frames: frames, frameSize: frameSize)
        } throws: { error in
            if case .invalidArgument = error as? XDPError { true } else { false }
        }
    }

    @Test func memoryIsAlignedZeroedAndWritable() throws {
        let umem = try UMEM(frames: 3, hugePages: .auto)
        #expect(UInt(bitPattern: umem.base) % 4096 == 0)
        #expect(umem.registeredSize == 3 * 2048)
        #expect(umem.mappedSize >= umem.registeredSize)
        let last = umem.pointer(at: UInt64(umem.registeredSize - 1))
        #expect(last.load(as: UInt8.self) == 0)
        last.storeBytes(of: 9, as: UInt8.self)
        #expect(last.load(as: UInt8.self) == 9)
    }

    /// 64 GiB of reserved huge pages is more than a test machine has.
    @Test func requiredHugePagesAreRequired() {
        #expect {
            try UMEM(frames: 1 << 24, frameSize: 4096, hugePages: .require)
        } throws: { error in
            guard case .hugePagesUnavailable(let bytes, let code) = error as? XDPError else { return false }
            return bytes == 1 << 36 && code != 0
        }
    }
}
