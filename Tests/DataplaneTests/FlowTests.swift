import IPsec
import Packets
import Policy
import TestSupport
import Testing

@testable import Dataplane

/// The quick way to read a packet, its flow key and the memory of flows, against `PacketSummary` and plain dictionaries.
@Suite struct FlowTests {
    /// A packet of any kind, good or bad, in memory of exactly its size.
    private func randomPacket(_ numbers: inout SeededNumbers) -> [UInt8] {
        let family: AddressFamily = Bool.random(using: &numbers) ? .ipv4 : .ipv6
        let protocols = [IPProtocol.udp, IPProtocol.tcp, IPProtocol.icmp, IPProtocol.icmpv6, 253, 132]
        var packet = IPPacket(
            from: SitePlan(1).host(family, UInt32.random(in: 2...5, using: &numbers)),
            to: SitePlan(2).host(family, UInt32.random(in: 2...5, using: &numbers)),
            payload: .init(repeating: 3, count: Int.random(in: 0...40, using: &numbers)))
        packet.protocolNumber = protocols.randomElement(using: &numbers) ?? 17
        packet.sourcePort = UInt16.random(in: 1...3, using: &numbers)
        packet.destinationPort = UInt16.random(in: 1...3, using: &numbers)
        packet.trafficClass = UInt8.random(in: 0...255, using: &numbers)
        packet.dontFragment = Bool.random(using: &numbers)
        packet.options = family == .ipv4 && Int.random(in: 0...9, using: &numbers) == 0 ? [1, 1, 1, 0] : []
        var bytes = packet.bytes
        // One in two is damaged, and mostly given a right checksum again.
        if Bool.random(using: &numbers) {
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                bytes[Int.random(in: 0..<bytes.count, using: &numbers)] ^= 1 << UInt8.random(in: 0...7, using: &numbers)
            }
            if Bool.random(using: &numbers), Int(bytes[0] & 0xF) * 4 <= bytes.count, bytes.count >= 20 {
                bytes = bytes.withHeaderChecksum()
            }
        }
        if Int.random(in: 0...5, using: &numbers) == 0 {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &numbers))
        }
        return bytes + [UInt8](repeating: 0, count: Int.random(in: 0...8, using: &numbers))
    }

    /// What the quick way accepts the long way accepts too, with the same key, length, traffic class and DF; and what is
    /// common does take the quick way.
    @Test(arguments: [UInt64(1), 2, 3])
    func commonPacketAgrees(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        let zeros = [UInt8](repeating: 0, count: 40)
        var quick = 0
        var refused = 0
        for _ in 0..<20_000 {
            let bytes = randomPacket(&numbers)
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: bytes)
            let start = try #require(memory.baseAddress)
            var summary = PacketSummary()
            let failure = PacketSummary.parse(start, available: bytes.count, into: &summary)
            for family in [AddressFamily.ipv4, .ipv6] {
                let before = PacketSlot(start: start, length: 77, port: 0)
                var slot = before
                var key = zeros.withUnsafeBytes {
                    FlowKey(ipv4: $0.baseAddress ?? UnsafeRawPointer(start), protocolNumber: 0, ports: 0)
                }
                let isCommon = CommonPacket.read(
                    start, available: bytes.count, family: family, slot: &slot, key: &key)
                guard isCommon else {
                    #expect(slot.length == 77 && slot.flags == [], "a refusal changes nothing")
                    refused += 1
                    continue
                }
                quick += 1
                guard failure == .none, summary.family == family else {
                    Issue.record("\(bytes) was accepted, though \(failure)")
                    continue
                }
                let expected = FlowKey(summary, header: start)
                #expect(withUnsafePointer(to: expected) { key.isSame(as: $0) }, "\(bytes)")
                #expect(key.hash(seed: 5) == expected.hash(seed: 5))
                #expect(Int(slot.length) == summary.totalLength)
                #expect(slot.trafficClass == summary.trafficClass)
                #expect(slot.flags.contains(.dontFragment) == summary.dontFragment)
                #expect(slot.nextHeader == (family == .ipv4 ? 4 : 41))
                #expect(!summary.isFragment)
            }
        }
        #expect(quick > 5_000 && refused > 5_000)
    }

    private func key(_ family: AddressFamily, _ number: UInt8, _ ports: (UInt16, UInt16), last: UInt32 = 2) -> FlowKey {
        var header = [UInt8](repeating: 0, count: 40)
        let addresses = addressBytes(SitePlan(1).host(family)) + addressBytes(SitePlan(2).host(family, last))
        let place = family == .ipv4 ? 12 : 8
        header.replaceSubrange(place..<place + addresses.count, with: addresses)
        return header.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { preconditionFailure("40 bytes are not empty") }
            return FlowKey(summary(family, number, ports, last: last), header: start)
        }
    }

    private func summary(
        _ family: AddressFamily, _ number: UInt8, _ ports: (UInt16, UInt16), last: UInt32
    ) -> PacketSummary {
        PacketSummary(
            source: SitePlan(1).host(family), destination: SitePlan(2).host(family, last), upperProtocol: number,
            sourcePort: ports.0, destinationPort: ports.1)
    }

    /// Each part of a flow makes another key.
    @Test func keysDiffer() {
        var keys: [FlowKey] = []
        for family in [AddressFamily.ipv4, .ipv6] {
            for number in [IPProtocol.udp, IPProtocol.tcp] {
                for ports in [(1, 2), (2, 1), (1, 3)] as [(UInt16, UInt16)] {
                    for last in [UInt32(2), 3] { keys.append(key(family, number, ports, last: last)) }
                }
            }
        }
        for (index, one) in keys.enumerated() {
            for (other, another) in keys.enumerated() {
                #expect(withUnsafePointer(to: another) { one.isSame(as: $0) } == (index == other))
                if index != other { #expect(one.hash(seed: 1) != another.hash(seed: 1)) }
            }
        }
        #expect(keys[0].hash(seed: 1) != keys[0].hash(seed: 2))
    }

    /// What was remembered last is found, with what was remembered; never an entry of another version.
    @Test func cacheAgainstModel() {
        var cache = FlowCache(capacity: 64)
        var numbers = SeededNumbers(seed: 9)
        var model: [UInt16: UInt16] = [:]
        var hits = 0
        let versions = UnsafeMutablePointer<UInt32>.allocate(capacity: 4)
        defer { versions.deallocate() }
        versions.initialize(repeating: 1, count: 4)
        for step in 0..<5_000 {
            if step % 1000 == 0 {
                model = [:]
                versions[3] += 1
            }
            let port = UInt16.random(in: 0..<100, using: &numbers)
            let key = key(.ipv4, IPProtocol.udp, (port, 1))
            let hash = key.hash(seed: cache.seed)
            if let found = withUnsafePointer(to: key, { cache.find($0, hash: hash, versions: versions) }) {
                #expect(model[port] == found.pointee.owner)
                hits += 1
            } else {
                model[port] = UInt16(step)
                cache.insert(
                    FlowCache.Entry(
                        key: key, association: nil, nextHop: 0, version: versions[3], versionPlace: 3,
                        owner: UInt16(step)),
                    hash: hash, versions: versions)
                versions[2] &+= 1
                check(withUnsafePointer(to: key) { cache.find($0, hash: hash, versions: versions) } != nil)
                versions[3] += 1
                check(withUnsafePointer(to: key) { cache.find($0, hash: hash, versions: versions) } == nil)
                versions[3] -= 1
            }
        }
        #expect(hits > 1_000)
    }

    /// The records that are walked per packet fill whole cache lines.
    @Test func sizes() {
        #expect(MemoryLayout<PacketSlot>.stride == 56)
        #expect(MemoryLayout<FlowCache.Entry>.stride == 64)
        #expect(MemoryLayout<HandoverEntry>.stride == 16)
        #expect(MemoryLayout<NextHop>.stride == 64)
    }
}
