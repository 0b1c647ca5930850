import Packets
import Telemetry
import Testing

@testable import IPsec

@Suite("Outbound sequence numbers (RFC 4303 3.3.3)")
struct SequenceTests {
    /// The last number is used; then the SA stops and says so, without a wrap.
    @Test(arguments: [(false, 0xFFFF_FFFF as UInt64), (true, UInt64.max)])
    func exhaustion(extended: Bool, last: UInt64) throws {
        let tunnel = try Tunnel(
            parameters {
                $0.extendedSequenceNumbers = extended
                $0.initialSequence = last - 2
                $0.initialReplaySequence = last - 2
            })
        for number in [last - 1, last] {
            let outer = try tunnel.protect(ipv4(60)).outer
            #expect(Array(outer[24..<28]) == [0xFF, 0xFF, 0xFF, UInt8(truncatingIfNeeded: number)])
            #expect(try tunnel.unprotect(outer).verdict == .pass)
            #expect(!tunnel.outbound.events.contains(.sequenceExhausted))
        }
        for count in 1...3 as ClosedRange<UInt64> {
            #expect(try tunnel.protect(ipv4(60)).verdict == .drop(.sequenceExhausted))
            let status = tunnel.outbound.status(now: 2)
            #expect(status.sequence == last && status.packets == 2)
            #expect(status.drops == [SAStatus.Drop(reason: .sequenceExhausted, packets: count)])
        }
        #expect(tunnel.outbound.events.contains(.sequenceExhausted))
        #expect(!tunnel.outbound.events.isDisjoint(with: .hard))
    }

    /// With extended numbers 2^32 is an ordinary step.
    @Test func extendedPassesTheBoundary() throws {
        let tunnel = try Tunnel(
            parameters {
                $0.extendedSequenceNumbers = true
                $0.initialSequence = 0xFFFF_FFFD
                $0.initialReplaySequence = 0xFFFF_FFFD
            })
        let outers = try (0..<6).map { _ in try tunnel.protect(ipv4(60)).outer }
        #expect(outers.map { Array($0[24..<28]) }[1...3] == [[0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0], [0, 0, 0, 1]])
        // From the far side of the boundary back over it.
        for index in [4, 1, 2, 0, 3, 5] { #expect(try tunnel.unprotect(outers[index]).verdict == .pass) }
        for index in 0..<6 { #expect(try tunnel.unprotect(outers[index]).verdict == .drop(.replayDuplicate)) }
        #expect(tunnel.inbound.status(now: 0).sequence == 0x1_0000_0003)
    }

    @Test func startsWithOne() throws {
        let tunnel = try Tunnel(parameters())
        #expect(Array(try tunnel.protect(ipv4(60)).outer[24..<28]) == [0, 0, 0, 1])
    }

    /// The explicit IV is a base plus the sequence number, big endian.
    @Test func explicitIV() throws {
        let negotiated = try Tunnel(parameters())
        #expect(Array(try negotiated.protect(ipv4(60)).outer[28..<36]) == [0, 0, 0, 0, 0, 0, 0, 1])
        let based = try Tunnel(parameters(), ivBase: 0x1122_3344_5566_77FF)
        #expect(Array(try based.protect(ipv4(60)).outer[28..<36]) == [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x78, 0])
    }

    /// A manual key outlives restarts, so a new SA begins behind the IVs of an older one (RFC 4106 section 2).
    @Test func manualKeysDoNotRepeatIVs() throws {
        func iv(_ tunnel: Tunnel) throws -> UInt64 {
            try tunnel.protect(ipv4(60)).outer[28..<36].reduce(0) { $0 << 8 | UInt64($1) }
        }
        let first = try Tunnel(parameters { $0.isManual = true })
        var last: UInt64 = 0
        for _ in 0..<100 { last = try iv(first) }
        let second = try Tunnel(parameters { $0.isManual = true })
        #expect(try iv(second) > last)
        // Nanoseconds since 1970, after 2020.
        #expect(last > 1_577_836_800_000_000_000)
    }

    /// One key in several SAs, by mistake: they never come to the same IV, however many packets each of them sends.
    @Test func oneManualKeyInSeveralSAs() throws {
        func ivs(_ tunnel: Tunnel) throws -> [UInt64] {
            try (0..<3).map { _ in
                try tunnel.protect(ipv4(60)).outer[28..<36].reduce(0) { $0 << 8 | UInt64($1) }
            }
        }
        let forth = try parameters { $0.isManual = true }
        var back = forth
        (back.source, back.destination) = (forth.destination, forth.source)
        let all = try (0..<40).flatMap { _ in try [ivs(Tunnel(forth)), ivs(Tunnel(back))] }
        let steps = Set(all.flatMap { [$0[1] &- $0[0], $0[2] &- $0[1]] })
        #expect(steps.count == 1)
        let step = try #require(steps.first)
        // Each SA keeps to its own remainder.
        #expect(Set(all.map { $0[0] % step }).count == 80)
    }

    /// The two ends of a tunnel are different processes, which may count their SAs alike.
    @Test(arguments: families)
    func oneManualKeyInBothDirections(family: AddressFamily) throws {
        let forth = try parameters(family) { $0.isManual = true }
        var back = forth
        (back.source, back.destination) = (forth.destination, forth.source)
        let time: UInt64 = 1_800_000_000_000_000_000
        for number in [0, 1, 255, 256] as [UInt64] {
            let one = InitializationVectors(forth, time: time, number: number)
            let other = InitializationVectors(back, time: time &+ 1_000_000, number: number)
            #expect(one.shift == other.shift && one.shift > 0)
            let mask: UInt64 = 1 << UInt64(one.shift) - 1
            #expect(one.base & mask != other.base & mask)
        }
        // A restart begins behind ten million packets for each second.
        let one = InitializationVectors(forth, time: time, number: 7)
        let restarted = InitializationVectors(forth, time: time + 1_000_000_000, number: 7)
        #expect(restarted.base > one.base + 10_000_000 << UInt64(one.shift))
        #expect(restarted.base & 0x1FF == one.base & 0x1FF)
    }
}
