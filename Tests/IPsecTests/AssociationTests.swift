import Cryptography
import Packets
import Telemetry
import Testing

@testable import IPsec

@Suite("Associations and their records")
struct AssociationTests {
    /// Whole cache lines: three are touched per outbound packet, three and the window's per inbound packet.
    @Test func recordLayout() throws {
        #expect(MemoryLayout<OutboundRuntime>.size <= 320)
        #expect(MemoryLayout<InboundRuntime>.size <= 320)
        #expect(MemoryLayout<OuterHeaderTemplate>.size == 64)
        #expect(MemoryLayout<SelectorMasks>.size == 64)
        #expect(MemoryLayout<LifetimeLimits>.size == 64)
        #expect(MemoryLayout<ReplayWindow>.size == 24)
        let tunnel = try Tunnel(parameters())
        #expect(UInt(bitPattern: tunnel.outbound.runtime) % 64 == 0)
        #expect(UInt(bitPattern: tunnel.inbound.runtime) % 64 == 0)
        #expect(UInt(bitPattern: tunnel.inbound.runtime.pointee.window.words) % 64 == 0)
    }

    /// A packet writes to the second cache line of its SA alone (and to the bits of the window): the first is shared
    /// with workers that look for the owner.
    @Test func onlyTheSecondLineIsWritten() throws {
        let tunnel = try Tunnel(parameters())
        func lines(_ start: UnsafeRawPointer, _ size: Int) -> [[UInt8]] {
            stride(from: 0, to: size, by: 64).map { bytes(start + $0, min(64, size - $0)) }
        }
        func records() -> (outbound: [[UInt8]], inbound: [[UInt8]]) {
            (
                lines(tunnel.outbound.runtime, MemoryLayout<OutboundRuntime>.size),
                lines(tunnel.inbound.runtime, MemoryLayout<InboundRuntime>.size)
            )
        }
        // The first packet sets the limits.
        #expect(try tunnel.unprotect(tunnel.protect(ipv4(60), now: 5).outer).verdict == .pass)
        let before = records()
        #expect(try tunnel.unprotect(tunnel.protect(ipv4(60), now: 6).outer, now: 7).verdict == .pass)
        let after = records()
        #expect(before.outbound.indices.filter { before.outbound[$0] != after.outbound[$0] } == [1])
        #expect(before.inbound.indices.filter { before.inbound[$0] != after.inbound[$0] } == [1])
    }

    @Test func outboundStatus() throws {
        let tunnel = try Tunnel(
            parameters(isEncapsulated: true) {
                $0.requestID = 77
                $0.owner = 3
                $0.extendedSequenceNumbers = true
                $0.lifetime = Lifetime(hardPackets: 9)
            }, now: 1000)
        #expect(tunnel.outbound.runtime.pointee.owner == 3)
        var status = tunnel.outbound.status(now: 1500)
        #expect(status.idle == nil && status.inUse == nil && status.age == 500)
        _ = try tunnel.protect(ipv4(100), now: 2000)
        _ = try tunnel.protect(ipv4(60), now: 2500)
        status = tunnel.outbound.status(now: 3000)
        #expect(status.direction == .outbound && status.spi == 0xC0FF_EE01 && status.requestID == 77)
        #expect(status.transform == "aes128gcm16" && status.owner == 3 && status.mode == .tunnel)
        #expect(status.encapsulation == UDPEncapsulation(sourcePort: 4500, destinationPort: 61_000))
        #expect((status.packets, status.bytes, status.sequence) == (2, 160, 2))
        #expect((status.age, status.inUse, status.idle) == (2000, 1000, 500))
        #expect(status.window == nil && status.extendedSequenceNumbers && status.lifetime.hardPackets == 9)
        #expect(status.pathMTU == 1500 && status.mtu == 1438)
    }

    @Test func inboundStatus() throws {
        let tunnel = try Tunnel(parameters { $0.selectors = [.any(.ipv4)] }, now: 10)
        let outers = try (0..<5).map { _ in try tunnel.protect(ipv4(100)).outer }
        for index in [0, 1, 4, 4] { _ = try tunnel.unprotect(outers[index], now: 20) }
        let status = tunnel.inbound.status(now: 30)
        #expect(status.direction == .inbound && status.sequence == 5)
        #expect((status.packets, status.bytes) == (3, 300))
        #expect(status.window?.size == 1024 && status.window?.received == 3 && status.window?.missing == 2)
        #expect(status.drops == [SAStatus.Drop(reason: .replayDuplicate, packets: 1)])
        #expect(status.selectors == [.any(.ipv4)] && status.mtu == nil)
        #expect((status.age, status.idle) == (20, 10))
    }

    /// Nothing that can be printed holds a key.
    @Test func keysAreNotPrinted() throws {
        let tunnel = try Tunnel(parameters { $0.key = SecretBytes(copying: Array("SECRETKEYSECRETKEY!!".utf8)) })
        var text = ""
        dump(tunnel.outbound, to: &text)
        dump(tunnel.inbound, to: &text)
        dump(tunnel.outbound.status(now: 0), to: &text)
        dump(tunnel.parameters, to: &text)
        text += "\(tunnel.parameters) \(String(reflecting: tunnel.parameters))"
        #expect(text.contains("20 secret bytes"))
        let decimal = Array("SECRETKEY".utf8).map(String.init).joined(separator: ", ")
        for key in ["SECRETKEY", "5345435245", decimal] { #expect(!text.contains(key)) }
    }

    private func expectError(_ expected: SAError, change: (inout SAParameters) -> Void) throws {
        let parameters = try parameters(change: change)
        #expect(throws: expected) { try OutboundSA(parameters, engine: Tunnel.engine, now: 0) }
        #expect(throws: expected) { try InboundSA(parameters, engine: Tunnel.engine, now: 0) }
        #expect(!expected.description.isEmpty)
    }

    @Test func refusals() throws {
        try expectError(.unsupportedMode(.transport)) { $0.mode = .transport }
        try expectError(.unsupportedMode(.beet)) { $0.mode = .beet }
        for mode in SAMode.allCases {
            try expectError(.unsupportedProtocol(.ah)) { ($0.securityProtocol, $0.mode) = (.ah, mode) }
        }
        try expectError(.reservedSPI(255)) { $0.spi = 255 }
        let ipv6 = try address("::1")
        try expectError(.mixedAddressFamilies) { $0.destination = ipv6 }
        for size in [-1, 1, 31, 65_537] { try expectError(.replayWindow(size)) { $0.replayWindow = size } }
        try expectError(.initialSequence(0x1_0000_0000)) { $0.initialSequence = 0x1_0000_0000 }
        try expectError(.owner(65_536)) { $0.owner = 65_536 }
        try expectError(.cryptography(.keyLength(transform: .aes128GCM16, expected: 20, actual: 19))) {
            $0.key = SecretBytes(copying: [UInt8](repeating: 0, count: 19))
        }
    }

    /// Every pair of protocol and mode either is a kind that workers process, or is refused.
    @Test func kinds() throws {
        var made: [SAKind] = []
        for securityProtocol in SAProtocol.allCases {
            for mode in SAMode.allCases {
                guard let kind = try? SAKind(securityProtocol, mode) else { continue }
                #expect(kind.securityProtocol == securityProtocol)
                made.append(kind)
            }
        }
        #expect(made == SAKind.allCases)
        let tunnel = try Tunnel(parameters())
        #expect(tunnel.outbound.runtime.pointee.kind == .espTunnel && tunnel.inbound.runtime.pointee.kind == .espTunnel)
    }

    @Test func eventNames() {
        #expect(SAEvents([.softBytes, .sequenceExhausted]).names == ["soft-bytes", "sequence-exhausted"])
        #expect((SAEvents.soft.union(.hard).union(.firstUse)).names.count == 8)
    }

    /// One thread works, others look: no torn or unsynchronised reads (a thread sanitizer run shows it).
    @Test func statusWhileWorking() async throws {
        let tunnel = try Tunnel(parameters())
        let (outbound, inbound) = (tunnel.outbound, tunnel.inbound)
        async let readings: [UInt64] = Task.detached {
            var last: [UInt64] = []
            for _ in 0..<300 {
                last = [outbound.status(now: 0).packets, inbound.status(now: 0).packets]
                outbound.setPathMTU(1400)
                _ = (outbound.events, inbound.events)
            }
            return last
        }.value
        for _ in 0..<2000 { #expect(try tunnel.unprotect(tunnel.protect(ipv4(60)).outer).verdict == .pass) }
        #expect(await readings.allSatisfy { $0 <= 2000 })
        #expect(inbound.status(now: 0).packets == 2000)
    }
}
