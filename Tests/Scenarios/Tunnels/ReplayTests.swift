import Cryptography
import Packets
import Telemetry
import TestSupport
import Testing

/// Sequence numbers between two gateways: windows, reordering, duplication, loss, the boundary at 2^32, exhaustion.
@Suite struct ReplayTests {
    static let windows = [32, 33, 63, 64, 65, 100, 1000, 1024, 4096, 65_535, 65_536]
    static let tops: [UInt64] = [200_000, 0x1_0000_0064, 0x3_0001_0000]
    static let transforms = ["aes128gcm16", "chacha20poly1305", "aes256-sha384", "null-sha256"].compactMap(
        ESPTransform.init)

    /// The frame of one packet with the given sequence number.
    private func sealed(_ sequence: UInt64, _ options: TunnelOptions) throws -> [UInt8] {
        var options = options
        options.initialSequence = sequence - 1
        let network = try MemoryNetwork(options)
        network.left.receiveFromLAN(network.packets(count: 1))
        return try #require(network.left.takeWAN().first)
    }

    /// The oldest number in the window passes, the one before does not, wherever the window stands.
    @Test(arguments: windows, tops)
    func windowEdge(window: Int, top: UInt64) throws {
        let options = TunnelOptions {
            $0.replayWindow = window
            $0.extended = top > UInt32.max
            $0.initialSequence = top - UInt64(window) - 10
        }
        let network = try MemoryNetwork(options)
        let right = network.right
        func arrives(_ sequence: UInt64) throws -> Bool {
            right.receive([try sealed(sequence, options)], at: .wan)
            return right.takeLAN().count == 1
        }
        #expect(try arrives(top))
        #expect(try arrives(top - UInt64(window) + 1))
        #expect(try !arrives(top - UInt64(window) + 1))
        #expect(right.drops == [.replayDuplicate: 1])
        #expect(try !arrives(top - UInt64(window)))
        // With ESN a number before the window is taken for one of the next subspace, whose ICV is another.
        let tooOld: DropReason = options.extended ? .integrityFailure : .replayTooOld
        #expect(right.drops == [.replayDuplicate: 1, tooOld: 1])
        #expect(try arrives(top - 1))
        #expect(try arrives(top + 1))
        #expect(try !arrives(top - UInt64(window) + 1))
        #expect(right.drops == [.replayDuplicate: 1, tooOld: 2])
        #expect(right.lostFrames == 0)
    }

    /// A whole window in reverse order arrives; one packet more, and the oldest does not.
    @Test(arguments: [32, 64, 100, 256], [false, true])
    func reversal(window: Int, extended: Bool) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.replayWindow = window
                $0.extended = extended
                $0.initialSequence = extended ? 0xFFFF_FFC0 : 0
            })
        let packets = network.packets(count: window)
        let arrived = network.exchange(packets) { $0.reversed() }
        #expect(arrived == packets.reversed().map { $0.routed(hops: 2) })
        #expect(network.right.drops == [:])
        let more = network.packets(count: window + 1)
        let late = network.exchange(more) { $0.reversed() }
        #expect(late == more.dropFirst().reversed().map { $0.routed(hops: 2) })
        #expect(network.right.drops == [extended ? .integrityFailure : .replayTooOld: 1])
    }

    /// Copies in one batch pass the first check and are refused at the second; later ones do not reach the cipher.
    @Test(arguments: transforms, [false, true])
    func duplication(transform: ESPTransform, extended: Bool) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.transform = transform
                $0.extended = extended
            })
        let packets = network.packets(count: 30)
        var frames: [[UInt8]] = []
        let arrived = network.exchange(packets) {
            frames = $0
            return $0.flatMap { [$0, $0] }
        }
        #expect(arrived == packets.map { $0.routed(hops: 2) })
        // 60 frames came in bursts of 32 and 28: no pair is torn.
        #expect(network.right.drops == [.replayAtCommit: 30])
        network.right.receive(frames, at: .wan)
        #expect(network.right.takeLAN() == [])
        #expect(network.right.drops == [.replayAtCommit: 30, .replayDuplicate: 30])
        #expect(network.right.lostFrames == 0)
    }

    /// Loss harms nobody else, and the next packets are not taken for others.
    @Test(arguments: [2, 3, 7, 50], [false, true])
    func loss(period: Int, extended: Bool) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.extended = extended })
        let packets = network.packets(.ipv6, count: 500)
        let kept = { (frames: [[UInt8]]) in frames.enumerated().filter { $0.offset % period != 0 }.map(\.element) }
        #expect(network.exchange(packets, wire: kept) == kept(packets).map { $0.routed(hops: 2) })
        #expect(network.right.drops == [:])
        #expect(network.right.inbound[0].status(now: 0).packets == UInt64(kept(packets).count))
    }

    /// Random reordering, duplication and loss against a plain model of the window.
    @Test(arguments: [32, 64, 200, 1024], [UInt64(1), 2, 3])
    func chaos(window: Int, seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        let network = try MemoryNetwork(TunnelOptions { $0.replayWindow = window })
        let packets = network.packets(count: 600)
        network.left.receiveFromLAN(packets)
        let frames = network.left.takeWAN()
        var order: [(place: Double, sequence: Int)] = []
        for sequence in frames.indices {
            for _ in 0..<Int.random(in: 0...2, using: &numbers) {
                order.append(
                    (Double(sequence) + Double.random(in: 0...Double(window) * 1.5, using: &numbers), sequence))
            }
        }
        order.sort { $0.place < $1.place }

        var top = -1
        var seen = Set<Int>()
        var expected: [DropReason: UInt64] = [:]
        var accepted: [[UInt8]] = []
        for (_, sequence) in order {
            if sequence <= top - window {
                expected[.replayTooOld, default: 0] += 1
            } else if !seen.insert(sequence).inserted {
                expected[.replayDuplicate, default: 0] += 1
            } else {
                top = max(top, sequence)
                accepted.append(packets[sequence].routed(hops: 2))
            }
        }
        network.right.receive(order.map { frames[$0.sequence] }, at: .wan, burst: 1)
        #expect(network.right.takeLANPackets() == accepted)
        #expect(network.right.drops == expected)
        #expect(network.right.lostFrames == 0)
    }

    /// 64 bits of sequence number of which 32 travel: over the boundary in order, out of order, and never twice.
    @Test(arguments: transforms, [AddressFamily.ipv4, .ipv6])
    func extendedSequenceBoundary(transform: ESPTransform, outer: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.transform = transform
                $0.outer = outer
                $0.extended = true
                $0.initialSequence = 0xFFFF_FFFF - 100
            })
        var numbers = SeededNumbers(seed: 7)
        for inner in [AddressFamily.ipv4, .ipv6] {
            let packets = network.packets(inner, count: 100)
            var order = Array(packets.indices)
            var frames: [[UInt8]] = []
            let arrived = network.exchange(packets) { sent in
                order.shuffle(using: &numbers)
                frames = sent
                return order.map { sent[$0] }
            }
            #expect(arrived == order.map { packets[$0].routed(hops: 2) })
            network.right.receive(frames, at: .wan)
        }
        let header = outer == .ipv4 ? 34 : 54
        network.left.receiveFromLAN(network.packets(count: 1))
        let next = try #require(network.left.takeWAN().first)
        #expect(next.number32(header + 4) == 100, "the low half began again behind 2^32")
        #expect(network.right.drops == [.replayDuplicate: 200])
        #expect(network.left.outbound[0].status(now: 0).sequence == 1 << 32 + 100)
        #expect(network.right.inbound[0].status(now: 0).sequence == 1 << 32 + 99)
    }

    /// The last number is used, none is used twice, and the control side can see that the SA has ended.
    @Test(arguments: [false, true])
    func exhaustion(extended: Bool) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                $0.extended = extended
                $0.initialSequence = (extended ? UInt64.max : UInt64(UInt32.max)) - 5
            })
        let packets = network.packets(count: 20)
        #expect(network.exchange(packets) == packets.prefix(5).map { $0.routed(hops: 2) })
        #expect(network.left.drops == [.sequenceExhausted: 15])
        #expect(network.right.drops == [:])
        #expect(network.left.outbound[0].events.contains(.sequenceExhausted))
        #expect(network.left.outbound[0].status(now: 0).sequence == (extended ? UInt64.max : UInt64(UInt32.max)))
        #expect(network.left.lostFrames == 0)
    }
}
