import Glibc
import Platform
import Testing

@Suite struct DescriptorTests {
    private func isOpen(_ number: Int32) -> Bool { fcntl(number, F_GETFD) >= 0 }

    private func pipePair() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    @Test func isClosedWhenReleased() throws {
        let (read, write) = try pipePair()
        do {
            let one = Descriptor(owning: read)
            let number = one.number
            #expect(number == read)
            #expect(isOpen(number))
        }
        #expect(!isOpen(read))
        close(write)
    }

    @Test func staysOpenWhenHandedOver() throws {
        let (read, write) = try pipePair()
        let number = Descriptor(owning: read).release()
        #expect(number == read)
        #expect(isOpen(read))
        close(read)
        close(write)
    }

    @Test func aCopyIsAnotherDescriptorOfTheSamePipe() throws {
        let (read, write) = try pipePair()
        let reader = Descriptor(owning: read)
        let copy = try Descriptor(copying: write)
        let number = copy.number
        #expect(number != write && number > 2)
        close(write)
        try Descriptor.writeAll(Array("through the copy".utf8), to: copy.number)
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = try buffer.withUnsafeMutableBytes { try reader.read(into: $0) }
        #expect(String(decoding: buffer.prefix(count), as: UTF8.self) == "through the copy")
    }

    @Test func saysWhyNot() {
        #expect(throws: Errno.badFileDescriptor) { _ = try Descriptor(copying: -1) }
        #expect(throws: Errno.noSuchFileOrDirectory) { _ = try Descriptor(result: -ENOENT) }
        #expect(throws: Errno.resourceBusy) { try Errno.check(-EBUSY) }
        #expect(throws: Never.self) { try Errno.check(7) }
    }

    /// Far more than a pipe holds goes into one that does not wait, while somebody empties it.
    @Test func allIsWrittenToAPipeThatDoesNotWait() throws {
        let (read, write) = try pipePair()
        let writer = Descriptor(owning: write)
        try #require(fcntl(write, F_SETFL, O_NONBLOCK) == 0)
        let bytes = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let received = Received()
        let thread = try SystemThread("reader") {
            let reader = Descriptor(owning: read)
            var block = [UInt8](repeating: 0, count: 10_000)
            while let count = try? block.withUnsafeMutableBytes({ try reader.read(into: $0) }), count > 0 {
                received.bytes.withLock { $0 += block.prefix(count) }
            }
        }
        try Descriptor.writeAll(bytes, to: writer.number)
        _ = consume writer
        thread.join()
        #expect(received.bytes.withLock { $0 } == bytes)
    }

    private final class Received: Sendable { let bytes = ControlLock<[UInt8]>([]) }

    @Test func aCounterWakesAndIsCleared() throws {
        let counter = try EventCounter(isNonBlocking: true)
        let sleepers = PollSet([counter.number, -1])
        let count = sleepers.count
        #expect(count == 2)
        var ready = sleepers.wait(atMostMilliseconds: 0)
        #expect(ready == 0)
        var (isFirst, isSecond) = (sleepers.isReady(0), sleepers.isReady(1))
        #expect(!isFirst && !isSecond)
        var wasRaised = counter.clear()
        #expect(!wasRaised)
        counter.signal()
        counter.signal()
        ready = sleepers.wait(atMostMilliseconds: 5000)
        #expect(ready == 1)
        (isFirst, isSecond) = (sleepers.isReady(0), sleepers.isReady(1))
        #expect(isFirst && !isSecond)
        wasRaised = counter.clear()
        #expect(wasRaised)
        ready = sleepers.wait(atMostMilliseconds: 0)
        #expect(ready == 0)
    }

    @Test func aDescriptorTakesThePlaceOfAnother() throws {
        let quiet = try EventCounter(isNonBlocking: true)
        let ready = try EventCounter(isNonBlocking: true)
        let sleepers = PollSet([quiet.number])
        ready.signal()
        let before = sleepers.wait(atMostMilliseconds: 0)
        sleepers.replace(0, by: ready.number)
        let after = sleepers.wait(atMostMilliseconds: 0)
        #expect(before == 0 && after == 1)
    }
}
