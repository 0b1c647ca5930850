import Platform
import Testing

@Suite struct ProcessTests {
    @Test(arguments: [MappedMemory.Kind.reserved, .lazy]) func mappedMemoryIsZeroedAndWritable(
        _ kind: MappedMemory.Kind
    ) throws {
        let memory = try MappedMemory(kind, byteCount: 100_000)
        #expect(memory.byteCount == 100_000 && memory.kind == kind)
        #expect((memory.base + 99_999).load(as: UInt8.self) == 0)
        (memory.base + 99_999).storeBytes(of: 7, as: UInt8.self)
        #expect((memory.base + 99_999).load(as: UInt8.self) == 7)
        let isLeftOut = memory.advise(.leftOutOfDumps)
        #expect(isLeftOut)
    }

    @Test func memoryThatIsNotToBeHad() {
        #expect(throws: Errno.self) { _ = try MappedMemory(.reserved, byteCount: 0) }
        #expect(throws: Errno.invalidArgument) { _ = try MappedMemory(.shared, byteCount: 4096) }
    }

    @Test func leakedMemoryStays() throws {
        let base = try MappedMemory(.reserved, byteCount: 4096).leak()
        base.storeBytes(of: 5, as: UInt8.self)
        #expect(base.load(as: UInt8.self) == 5)
    }

    @Test func clocksGoOn() {
        let (boot, wall) = (SystemClock.sinceBoot(), SystemClock.wall())
        SystemClock.sleep(microseconds: 2000)
        #expect(SystemClock.sinceBoot() >= boot + 2_000_000)
        #expect(SystemClock.wall() > wall)
        #expect(abs(SystemClock.wallSeconds() - Int64(wall / 1_000_000_000)) < 100)
        #expect(SystemClock.ofThread() < SystemClock.sinceBoot())
    }

    @Test func aThreadHasItsNameAndIsWaitedFor() throws {
        let name = ControlLock("")
        let thread = try SystemThread("sluice-test") {
            name.withLock { $0 = Files.text(of: "/proc/thread-self/comm") ?? "" }
        }
        thread.join()
        #expect(name.withLock { $0 } == "sluice-test\n")
    }

    @Test func aThreadRunsWhereItIsPinned() throws {
        let core = try #require(Cores.allowed().last)
        let allowed = ControlLock<[Int]>([])
        try SystemThread("sluice-pinned") {
            try? Cores.pin(to: core)
            allowed.withLock { $0 = Cores.allowed() }
        }.join()
        #expect(allowed.withLock { $0 } == [core])
        #expect(throws: Errno.invalidArgument) { try Cores.pin(to: 1000) }
    }

    @Test func theProcessKnowsItself() {
        #expect(Files.text(of: "/proc/self/stat")?.hasPrefix("\(CurrentProcess.identifier) ") == true)
        #expect(CurrentProcess.residentBytes > 1 << 20)
        #expect(CurrentProcess.pageSize.nonzeroBitCount == 1)
        #expect(CurrentProcess.environment("PATH")?.isEmpty == false)
        #expect(CurrentProcess.environment("SLUICE_NO_SUCH_VARIABLE") == nil)
        #expect(CurrentProcess.system.name == "Linux")
    }
}
