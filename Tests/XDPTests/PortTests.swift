import Glibc
import Packets
import TestSupport
import Testing
import XDP

/// Real AF_XDP sockets on veth.
@Suite struct PortTests {
    /// UDP-encapsulated ESP from many addresses, so that it spreads over queues.
    private static func packets(_ count: Int) -> [[UInt8]] {
        (0..<count).map { index in
            let body = Frames.esp + [UInt8](repeating: UInt8(index & 0xff), count: index * 13 % 1300)
            let source = "198.51.\(100 + index % 7).\(1 + index % 200)"
            return Frames.ethernet(
                Frames.ipv4(to: "203.0.113.1", from: source, protocol: 17, Frames.udp(to: 4500, body)))
        }
    }

    private static func count(_ verdict: SteeringVerdict, on port: XDPPort) throws -> UInt64 {
        try port.program.verdicts()[Int(verdict.rawValue)]
    }

    @Test(arguments: [XDPMode.native, .generic], [1, 2])
    func packetsGoBothWays(mode: XDPMode, queues: Int) throws {
        let pair = try PortPair(queues: queues)
        let umem = try UMEM(frames: 1024 * queues)
        let port = try pair.open(umem: umem, options: .init(mode, ringSize: 512))
        #expect(port.queueCount == queues)
        #expect(port.mode.xdp == mode)
        let far = try pair.farEnd()
        let workers = try (0..<queues).map {
            try TestWorker(port, queue: $0, umem: umem, frames: $0 * 1024..<($0 + 1) * 1024)
        }
        try port.start()

        let sent = Self.packets(300)
        for packet in sent { #expect(far.send(packet)) }
        var received = [[[UInt8]]](repeating: [], count: queues)
        for _ in 0..<3_000 where received.joined().count < sent.count {
            for queue in 0..<queues { received[queue] += workers[queue].receive(within: 10) }
        }
        #expect(Set(received.joined()) == Set(sent))
        #expect(received.joined().count == sent.count)
        if queues == 1 { #expect(received[0] == sent, "one queue keeps the order") }
        #expect(try Self.count(.socketUDPESP, on: port) == UInt64(sent.count))

        for (queue, worker) in workers.enumerated() {
            #expect(worker.send(sent))
            for packet in sent { #expect(far.receive(within: .seconds(20)) == packet) }
            #expect(worker.settles())
            let statistics = try #require(try port.statistics(queue: queue))
            #expect(statistics.invalidFill == 0 && statistics.invalidTransmit == 0 && statistics.receiveDropped == 0)
        }
    }

    /// The kernel spreads flows over the queues by their hash, and each queue's packets come to its own socket.
    @Test(arguments: [XDPMode.native, .generic])
    func flowsSpreadOverQueues(mode: XDPMode) throws {
        let pair = try PortPair(queues: 2)
        let umem = try UMEM(frames: 512)
        let port = try pair.open(umem: umem, options: .init(mode, ringSize: 256))
        let workers = try (0..<2).map {
            try TestWorker(port, queue: $0, umem: umem, frames: $0 * 256..<($0 + 1) * 256)
        }
        try port.start()
        try pair.sendDatagrams(flows: 64, to: "203.0.113.1", port: 4500, Frames.esp)
        var received = [0, 0]
        for _ in 0..<3_000 where received[0] + received[1] < 64 {
            for queue in 0..<2 { received[queue] += workers[queue].receive(within: 10).count }
        }
        #expect(received[0] + received[1] == 64)
        // In generic mode veth puts everything into its first queue.
        if mode == .native { #expect(received[0] > 5 && received[1] > 5, "\(received)") }
    }

    /// Two ports, one UMEM: a received frame goes out on the other port without a copy.
    @Test func framesCrossPorts() throws {
        let (left, right) = (try PortPair(), try PortPair())
        let umem = try UMEM(frames: 256)
        let tables = try PortPair.tables()
        let entry = try left.open(umem: umem, tables: tables, options: .init(.auto, ringSize: 64))
        let exit = try right.open(umem: umem, tables: tables, options: .init(.auto, ringSize: 64))
        var pool = FramePool(umem: umem, frames: 0..<256)
        var incoming = try PortPair.rings(entry)
        var outgoing = try PortPair.rings(exit)
        _ = pool.refill(&incoming.fill, upTo: 64)
        try entry.start()
        let (source, sink) = (try left.farEnd(), try right.farEnd())
        for packet in Self.packets(40) {
            #expect(source.send(packet))
            var descriptor = incoming.receive.pop()
            // Half a minute at most: on a busy machine the kernel delivers from a thread of its own.
            for _ in 0..<30_000 where descriptor == nil {
                usleep(1_000)
                descriptor = incoming.receive.pop()
            }
            #expect(outgoing.transmit.push(try #require(descriptor)) == true)
            outgoing.kick()
            #expect(sink.receive(within: .seconds(20)) == packet)
            _ = pool.reclaim(&outgoing.completion, upTo: 64)
            _ = pool.refill(&incoming.fill, upTo: 64)
        }
        #expect(pool.count + incoming.fill.pending == 256)
    }

    @Test func stoppedPortDropsItsPackets() throws {
        let pair = try PortPair()
        let umem = try UMEM(frames: 64)
        let port = try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
        let far = try pair.farEnd()
        let packet = Self.packets(1)[0]
        for step in 1...3 {
            if step == 2 { try port.start() }
            if step == 3 { try port.stop() }
            #expect(far.send(packet))
        }
        #expect(try Self.count(.dropNoSocket, on: port) == 2)
        #expect(try Self.count(.socketUDPESP, on: port) == 1)
        let statistics = try #require(try port.statistics(queue: 0))
        #expect(statistics.fillRingEmpty == 1, "nobody filled the fill ring")
    }

    @Test func autoSaysWhatItGotAndWhy() throws {
        let pair = try PortPair()
        let umem = try UMEM(frames: 64)
        let port = try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
        #expect(port.mode.xdp == .native && port.mode.xdpReason.isEmpty)
        #expect(port.mode.copy == .copy)
        #expect(
            port.mode.description.hasPrefix("native, copy (zero-copy: the driver of port has no zero-copy on queue 0"))
    }

    /// The far end's MTU is too large for native XDP on veth.
    @Test func nativeFallsBackToGeneric() throws {
        let pair = try PortPair()
        try pair.namespace.ip("link set \(pair.far) mtu 9000")
        let umem = try UMEM(frames: 64)
        let port = try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
        #expect(port.mode.xdp == .generic)
        #expect(port.mode.xdpReason.contains("MTU"))
        port.close()
        let failure = #expect(throws: XDPError.self) {
            try pair.open(umem: umem, options: .init(.native, ringSize: 64))
        }
        #expect(failure == .mtuTooLarge(interface: "port", mtu: 1500, errno: 34))
    }

    @Test func busyPollingIsAccepted() throws {
        let pair = try PortPair()
        let umem = try UMEM(frames: 64)
        var options = PortOptions(.auto, ringSize: 64)
        options.busyPoll = .init()
        let port = try pair.open(umem: umem, options: options)
        #expect(port.busyPolling)
    }

    // MARK: What can't work

    @Test func refusals() throws {
        let pair = try PortPair()
        let umem = try UMEM(frames: 64)
        func failure(_ change: (inout PortOptions) -> Void) -> XDPError? {
            var options = PortOptions(.auto, ringSize: 64)
            change(&options)
            do {
                _ = try pair.open(umem: umem, options: options)
                return nil
            } catch { return error as? XDPError }
        }
        #expect(failure { $0.queueCount = 2 } == .tooFewQueues(interface: "port", asked: 2, available: 1))
        #expect(failure { $0.queueCount = 0 } == .tooFewQueues(interface: "port", asked: 0, available: 1))
        #expect(failure { $0.copyMode = .zeroCopy } == .zeroCopyUnsupported(interface: "port", queue: 0, errno: 95))
        guard case .invalidArgument = failure({ $0.ringSize = 100 }) else {
            Issue.record("a ring size of 100 was accepted")
            return
        }
        try pair.namespace.ip("link set \(pair.port) mtu 2000")
        #expect(failure { _ in } == .mtuTooLargeForFrames(interface: "port", mtu: 2000, limit: 1774))
        #expect(failure { $0.ringSize = 128 } != nil)
        #expect(try pair.programs() == [], "a refused port leaves no program behind")
        let missing = #expect(throws: XDPError.self) { try NetworkInterface(named: "nonesuch") }
        #expect(missing == .noSuchInterface("nonesuch"))
    }

    /// The rings keep a socket open after its port is closed, so the queue is still taken.
    @Test func busyQueueIsNamed() throws {
        let pair = try PortPair()
        let umem = try UMEM(frames: 64)
        do {
            let port = try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
            let rings = try PortPair.rings(port)
            port.close()
            #expect(throws: TestFailure.self) { try TestWorker(port, queue: 0, umem: umem, frames: 0..<64) }
            let failure = #expect(throws: XDPError.self) {
                try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
            }
            #expect(failure == .queueBusy(interface: "port", queue: 0))
            #expect(rings.fileDescriptor >= 0)
        }
        let port = try pair.open(umem: umem, options: .init(.auto, ringSize: 64))
        #expect(port.queueCount == 1)
    }
}
