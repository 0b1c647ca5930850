import IPsec
import Telemetry
import Testing

private let second: UInt64 = 1_000_000_000

@Suite("Lifetimes (RFC 4301 4.4.2.1)")
struct LifetimeTests {
    private func tunnel(_ lifetime: Lifetime, added: UInt64 = 0) throws -> Tunnel {
        try Tunnel(parameters { $0.lifetime = lifetime }, now: added)
    }

    /// Sends packets of 100 bytes: how many pass until one is dropped, and why.
    private func countUntilDrop(_ tunnel: Tunnel) throws -> (passed: Int, reason: DropReason?) {
        for passed in 0..<50 {
            let verdict = try tunnel.protect(ipv4(100)).verdict
            if let reason = verdict.reason { return (passed, reason) }
        }
        return (50, nil)
    }

    @Test func hardPackets() throws {
        let tunnel = try tunnel(Lifetime(softPackets: 3, hardPackets: 5))
        for count in 1...5 {
            #expect(try tunnel.protect(ipv4(100)).verdict == .pass)
            #expect(tunnel.outbound.events.contains(.softPackets) == (count > 3))
        }
        for _ in 0..<2 { #expect(try tunnel.protect(ipv4(100)).verdict == .drop(.lifetimePackets)) }
        #expect(tunnel.outbound.events == [.firstUse, .softPackets, .hardPackets])
        #expect(tunnel.outbound.status(now: 0).packets == 5)
    }

    /// The packet that crosses the limit is the last.
    @Test(arguments: [(100, 1), (101, 2), (200, 2), (950, 10)] as [(UInt64, Int)])
    func hardBytes(limit: UInt64, packets: Int) throws {
        let tunnel = try tunnel(Lifetime(hardBytes: limit))
        let (passed, reason) = try countUntilDrop(tunnel)
        #expect(passed == packets && reason == .lifetimeBytes)
        #expect(tunnel.outbound.events.contains([.softBytes, .hardBytes]))
    }

    /// Packets are counted from where the sequence numbers began.
    @Test func packetsAreNotSequenceNumbers() throws {
        let tunnel = try Tunnel(
            parameters {
                $0.lifetime = Lifetime(hardPackets: 4)
                $0.initialSequence = 1_000_000
            })
        #expect(try countUntilDrop(tunnel).passed == 4)
    }

    @Test func softLimitsOnlyTell() throws {
        let tunnel = try tunnel(Lifetime(softBytes: 150, softPackets: 4, softSecondsAfterAdd: 3))
        var seen: [SAEvents] = []
        for time in 0..<6 as Range<UInt64> {
            #expect(try tunnel.protect(ipv4(100), now: time * second).verdict == .pass)
            seen.append(tunnel.outbound.events)
        }
        #expect(seen[1] == .firstUse)
        #expect(seen[2] == [.firstUse, .softBytes])
        #expect(seen[3] == [.firstUse, .softBytes, .softTime])
        #expect(seen[5] == [.firstUse, .softBytes, .softTime, .softPackets])
        #expect(seen[5].isDisjoint(with: .hard))
    }

    @Test func timeAfterAdd() throws {
        let tunnel = try tunnel(Lifetime(softSecondsAfterAdd: 5, hardSecondsAfterAdd: 10), added: 100 * second)
        #expect(try tunnel.protect(ipv4(100), now: 104 * second).verdict == .pass)
        #expect(tunnel.outbound.events == .firstUse)
        #expect(try tunnel.protect(ipv4(100), now: 105 * second).verdict == .pass)
        #expect(tunnel.outbound.events == [.firstUse, .softTime])
        #expect(try tunnel.protect(ipv4(100), now: 110 * second - 1).verdict == .pass)
        #expect(try tunnel.protect(ipv4(100), now: 110 * second).verdict == .drop(.lifetimeTime))
        #expect(tunnel.outbound.events == [.firstUse, .softTime, .hardTime])
    }

    /// The clock of use starts with the first packet, however late.
    @Test func timeAfterUse() throws {
        let tunnel = try tunnel(Lifetime(softSecondsAfterUse: 5, hardSecondsAfterUse: 10), added: second)
        #expect(try tunnel.protect(ipv4(100), now: 1000 * second).verdict == .pass)
        #expect(tunnel.outbound.events == .firstUse)
        #expect(try tunnel.protect(ipv4(100), now: 1005 * second).verdict == .pass)
        #expect(tunnel.outbound.events == [.firstUse, .softTime])
        #expect(try tunnel.protect(ipv4(100), now: 1010 * second).verdict == .drop(.lifetimeTime))
        let status = tunnel.outbound.status(now: 1011 * second)
        #expect(status.age == 1010 * second && status.inUse == 11 * second && status.idle == 6 * second)
    }

    /// The nearer of two time limits counts.
    @Test func bothTimes() throws {
        let tunnel = try tunnel(Lifetime(hardSecondsAfterAdd: 100, hardSecondsAfterUse: 10))
        #expect(try tunnel.protect(ipv4(100), now: 95 * second).verdict == .pass)
        #expect(try tunnel.protect(ipv4(100), now: 99 * second).verdict == .pass)
        #expect(try tunnel.protect(ipv4(100), now: 100 * second).verdict == .drop(.lifetimeTime))
    }

    @Test(arguments: [
        (Lifetime(hardPackets: 3), DropReason.lifetimePackets), (Lifetime(hardBytes: 300), .lifetimeBytes),
    ])
    func inboundLimits(lifetime: Lifetime, reason: DropReason) throws {
        let sender = try Tunnel(parameters())
        let receiver = try tunnel(lifetime)
        for _ in 0..<3 { #expect(try receiver.unprotect(sender.protect(ipv4(100)).outer).verdict == .pass) }
        for _ in 0..<2 { #expect(try receiver.unprotect(sender.protect(ipv4(100)).outer).verdict == .drop(reason)) }
        #expect(receiver.inboundDrops(reason) == 2)
        #expect(!receiver.inbound.events.isDisjoint(with: .hard))
    }

    @Test func inboundTime() throws {
        let tunnel = try tunnel(Lifetime(softSecondsAfterAdd: 1, hardSecondsAfterUse: 4))
        let outers = try (0..<3).map { _ in try Array(tunnel.protect(ipv4(100), now: second / 2).outer) }
        #expect(try tunnel.unprotect(outers[0], now: 2 * second).verdict == .pass)
        #expect(tunnel.inbound.events == [.firstUse, .softTime])
        #expect(try tunnel.unprotect(outers[1], now: 6 * second - 1).verdict == .pass)
        #expect(try tunnel.unprotect(outers[2], now: 6 * second).verdict == .drop(.lifetimeTime))
    }

    /// Forged packets do not use up an SA.
    @Test func forgeriesDoNotCount() throws {
        let tunnel = try tunnel(Lifetime(hardPackets: 2))
        var forged = try tunnel.protect(ipv4(100)).outer
        let outer = forged
        forged[60] ^= 1
        for _ in 0..<5 { #expect(try tunnel.unprotect(forged).verdict == .drop(.integrityFailure)) }
        #expect(tunnel.inbound.events.isEmpty)
        #expect(try tunnel.unprotect(outer).verdict == .pass)
    }

    /// Limits too large for the clock are none, and do not trap.
    @Test func hugeLimits() throws {
        let huge = Lifetime(
            softBytes: .max, hardBytes: .max, softPackets: .max, hardPackets: .max, softSecondsAfterAdd: .max,
            hardSecondsAfterAdd: .max, softSecondsAfterUse: .max, hardSecondsAfterUse: .max)
        let tunnel = try tunnel(huge, added: .max - 5)
        #expect(try tunnel.protect(ipv4(100), now: .max - 1).verdict == .pass)
        #expect(tunnel.outbound.events == .firstUse)
    }
}
