import Foundation
import IPsec
import Packets
import Synchronization
import Testing

@testable import Policy

@Suite("Publication of snapshots")
struct PublicationTests {
    /// Tells when a snapshot, and with it an SA, is gone.
    private final class Watch {
        private(set) weak var snapshot: Snapshot?
        private(set) weak var association: OutboundSA?

        init(_ snapshot: Snapshot) {
            self.snapshot = snapshot
            association = snapshot.outboundAssociations.first
        }

        var isAlive: Bool { snapshot != nil && association != nil }
        var isGone: Bool { snapshot == nil && association == nil }
    }

    private func make(_ builder: SnapshotBuilder, spi: SPI) throws -> Snapshot {
        let association = try Fixture.outbound(spi: spi)
        try builder.addOutbound(association)
        defer { builder.removeOutbound(association) }
        return builder.build()
    }

    @Test("Without a snapshot everything is dropped")
    func empty() throws {
        let publisher = SnapshotPublisher(workers: 1)
        var reader = publisher.makeReader(worker: 0)
        let tables = reader.acquire()
        let flow = try Fixture.flow("10.0.0.1", "10.0.0.2")
        #expect(tables.pointee.outbound(flow, worker: 0).verdict == .drop(.noPolicy))
        #expect(tables.pointee.inbound(spi: 1) == nil)
        #expect(tables.pointee.route(to: flow.destination).pointee.state == .noRoute)
        #expect(tables.pointee.inboundPolicy(flow, spi: 1, isLocal: false).verdict == .drop(.saRetired))
    }

    @Test("A replaced snapshot stays until every worker passed a boundary")
    func reclamation() throws {
        let builder = SnapshotBuilder(workers: 2)
        let publisher = SnapshotPublisher(workers: 2, initial: try make(builder, spi: 300))
        let watch = Watch(publisher.current)
        var first = publisher.makeReader(worker: 0)
        var second = publisher.makeReader(worker: 1)
        let old = first.acquire()
        #expect(second.acquire() == old)
        publisher.publish(try make(builder, spi: 301))
        #expect(first.acquire() != old && first.acquire().pointee.generation == 2)
        #expect(publisher.reclaim() == 1 && watch.isAlive)
        first.quiescent()
        #expect(publisher.reclaim() == 1 && watch.isAlive)
        #expect(old.pointee.generation == 1)
        second.quiescent()
        #expect(publisher.reclaim() == 0)
        builder.catchUp()
        #expect(watch.isGone)
        #expect(second.acquire().pointee.generation == 2)
        _ = consume first
        _ = consume second
    }

    @Test("Workers see which SPIs are expected, each in the place that its low bits say")
    func expectedSPIs() {
        let publisher = SnapshotPublisher(workers: 1)
        let expected = publisher.expectedSPIs
        let reader = publisher.makeReader(worker: 0)
        func check(_ spi: SPI, _ isExpected: Bool, _ reader: borrowing SnapshotReader) {
            let isSeen = reader.expects(spi: spi)
            #expect(isSeen == isExpected && isSeen == expected.contains(spi), "\(spi)")
        }
        let spis: [SPI] = [256, 257, 0x1234_5678, 0xFFFF_FFFF, 0xFFFF_FFFE]
        for spi in spis + [0] { check(spi, false, reader) }
        for spi in spis { expected.insert(spi) }
        for spi in spis {
            check(spi, true, reader)
            check(SPI(spi.value ^ 0x8000_0000), false, reader)
        }
        // The later one of a place counts, and is not taken away with the earlier one.
        let later: SPI = 256 + 0x8000_0000
        expected.insert(later)
        check(256, false, reader)
        check(later, true, reader)
        expected.remove(256)
        check(later, true, reader)
        for spi in spis.dropFirst() + [later] {
            expected.remove(spi)
            check(spi, false, reader)
        }
        // No SPI, and what an empty place holds.
        expected.insert(0)
        check(0, false, reader)
    }

    @Test("Workers see which peers are watched: all of them, and few others")
    func watchedPeers() {
        let publisher = SnapshotPublisher(workers: 1)
        let reader = publisher.makeReader(worker: 0)
        let peers = (0..<1000).flatMap { number in
            [
                IPAddress(ipv4: 0xC000_0200 &+ number * 7),
                IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: UInt64(number)),
            ]
        }
        let strangers = (0..<1000).map { IPAddress(ipv4: 0x0A00_0000 &+ $0 * 3) }
        func seen(_ addresses: [IPAddress], _ reader: borrowing SnapshotReader) -> Int {
            var count = 0
            for address in addresses {
                let isSeen = reader.watches(address)
                #expect(isSeen == publisher.watchedPeers.contains(address))
                if isSeen { count += 1 }
            }
            return count
        }
        #expect(seen(peers + strangers, reader) == 0)
        publisher.watchedPeers.set(peers)
        #expect(seen(peers, reader) == peers.count)
        #expect(seen(strangers, reader) < 100)
        publisher.watchedPeers.set([])
        #expect(seen(peers + strangers, reader) == 0)
    }

    @Test("Several replaced snapshots are released together")
    func backlog() throws {
        let builder = SnapshotBuilder(workers: 1)
        let publisher = SnapshotPublisher(workers: 1, initial: try make(builder, spi: 300))
        var reader = publisher.makeReader(worker: 0)
        var watches = [Watch(publisher.current)]
        for spi in 301..<305 as Range<UInt32> {
            publisher.publish(try make(builder, spi: SPI(spi)))
            watches.append(Watch(publisher.current))
        }
        #expect(publisher.reclaim() == 4)
        reader.quiescent()
        #expect(publisher.reclaim() == 0)
        builder.catchUp()
        #expect(watches.dropLast().allSatisfy { $0.isGone })
        #expect(watches.last?.isAlive == true)
        #expect(reader.acquire().pointee.generation == 5)
    }

    @Test("Nobody waits for a sleeping worker, and it wakes up to the newest snapshot")
    func sleeping() throws {
        let builder = SnapshotBuilder(workers: 2)
        let publisher = SnapshotPublisher(workers: 2, initial: try make(builder, spi: 300))
        let watch = Watch(publisher.current)
        var reader = publisher.makeReader(worker: 1)
        reader.offline()
        publisher.publish(try make(builder, spi: 301))
        builder.catchUp()
        #expect(watch.isGone)
        reader.online()
        #expect(reader.acquire().pointee.generation == 2)
        publisher.publish(try make(builder, spi: 302))
        #expect(publisher.reclaim() == 1, "awake again, so it is waited for")
        #expect(!publisher.waitForReaders(milliseconds: 2))
        reader.quiescent()
        #expect(publisher.waitForReaders(milliseconds: 2))
    }

    @Test("A reader that is gone holds nothing, and can be made again")
    func readerEnds() throws {
        let builder = SnapshotBuilder(workers: 1)
        let publisher = SnapshotPublisher(workers: 1, initial: try make(builder, spi: 300))
        do {
            var reader = publisher.makeReader(worker: 0)
            _ = reader.acquire()
            publisher.publish(try make(builder, spi: 301))
            #expect(publisher.reclaim() == 1)
        }
        #expect(publisher.reclaim() == 0)
        var again = publisher.makeReader(worker: 0)
        #expect(again.acquire().pointee.generation == 2)
    }

    @Test("Concurrent readers never see freed or mixed tables", arguments: [1, 4])
    func stress(workers: Int) throws {
        let stress = PublicationStress(
            workers: workers, initial: try stressSnapshot(SnapshotBuilder(workers: workers), 1))
        let threads = (0..<workers).map { worker in
            let thread = Thread { stress.read(worker: worker) }
            thread.start()
            return thread
        }
        let builder = SnapshotBuilder(workers: workers)
        _ = builder.build()
        for number in 2...300 { stress.publisher.publish(try stressSnapshot(builder, UInt32(number))) }
        stress.stop.store(true, ordering: .relaxed)
        stress.waitForThreads(threads.count)
        #expect(stress.wrong.load(ordering: .relaxed) == 0)
        #expect(stress.batches.load(ordering: .relaxed) >= workers)
        #expect(stress.publisher.waitForReaders(milliseconds: 60_000))
    }

    /// The number is in every part of the snapshot: SPI, request id, route.
    private func stressSnapshot(_ builder: SnapshotBuilder, _ number: UInt32) throws -> Snapshot {
        let outbound = try Fixture.outbound(spi: 1000 + number, requestID: number)
        let inbound = try Fixture.inbound(spi: 1000 + number, requestID: number)
        try builder.setPolicies([
            SecurityPolicy(selector: .any(.ipv4), direction: .out, action: .protect(.init(requestID: number))),
            SecurityPolicy(selector: .any(.ipv4), direction: .forward, action: .protect(.init(requestID: number))),
        ])
        builder.setInterfaces([PortInterface(interfaceIndex: number, port: 0, linkAddress: MACAddress(UInt64(number)))])
        builder.setRoutes([RouteEntry(prefix: .all(.ipv4), kind: .unicast(interfaceIndex: number, gateway: nil))])
        try builder.addOutbound(outbound)
        try builder.addInbound(inbound)
        defer {
            builder.removeOutbound(outbound)
            builder.removeInbound(spi: 1000 + number)
        }
        return builder.build()
    }
}

/// Readers in threads of their own, and what they found.
private final class PublicationStress: Sendable {
    let publisher: SnapshotPublisher
    let stop = Atomic(false)
    let wrong = Atomic(0)
    let batches = Atomic(0)
    private let done = DispatchSemaphore(value: 0)

    init(workers: Int, initial: Snapshot) { publisher = SnapshotPublisher(workers: workers, initial: initial) }

    func waitForThreads(_ count: Int) {
        for _ in 0..<count where done.wait(timeout: .now() + 30) == .timedOut { wrong.add(1, ordering: .relaxed) }
    }

    func read(worker: Int) {
        defer { done.signal() }
        var reader = publisher.makeReader(worker: worker)
        var generation: UInt64 = 0
        var rounds = 0
        repeat {
            let tables = reader.acquire()
            if !isConsistent(tables) || tables.pointee.generation < generation { wrong.add(1, ordering: .relaxed) }
            generation = tables.pointee.generation
            reader.quiescent()
            batches.add(1, ordering: .relaxed)
            rounds += 1
            if rounds % 64 == worker {
                reader.offline()
                sched_yield()
                reader.online()
            }
        } while !stop.load(ordering: .relaxed)
    }

    /// Whether all parts of the tables are of one snapshot and alive.
    private func isConsistent(_ tables: UnsafePointer<SnapshotTables>) -> Bool {
        let number = UInt32(truncatingIfNeeded: tables.pointee.generation)
        let spi = SPI(1000 + number)
        let flow = PacketSummary(source: IPAddress(ipv4: 1), destination: IPAddress(ipv4: 2), upperProtocol: 17)
        guard let inbound = tables.pointee.inbound(spi: spi.networkOrder), inbound.pointee.spi == spi else {
            return false
        }
        guard let sa = tables.pointee.outbound(flow, worker: 0).sa, sa.pointee.owner == 0, sa.pointee.mtu > 0 else {
            return false
        }
        return tables.pointee.inboundPolicy(flow, spi: spi.networkOrder, isLocal: false).verdict.isPass
            && tables.pointee.route(to: flow.destination).pointee.interfaceIndex == number
    }
}

extension SnapshotPublisher {
    /// Waits until all replaced snapshots are released; false when that takes longer than the time given. The control thread
    /// never does (`PublicationWaiters`).
    fileprivate func waitForReaders(milliseconds: Int) -> Bool {
        for _ in 0..<(milliseconds * 10) {
            if reclaim() == 0 { return true }
            Thread.sleep(forTimeInterval: 0.0001)
        }
        return reclaim() == 0
    }
}
