import Cryptography
import Foundation
import Packets
import Synchronization
import Telemetry
import Testing

@testable import IPsec

/// Outbound SAs whose outer headers change while their owner sends.
@Suite("Moves of outbound SAs")
struct MoveTests {
    /// What a packet of an SA that moved to place `number` begins with.
    private static func place(_ number: Int) throws -> (source: IPAddress, destination: IPAddress, port: UInt16?) {
        let isIPv4 = number % 2 == 0
        let port = number % 3 == 0 ? nil : UInt16(truncatingIfNeeded: 1024 + number % 60_000)
        return isIPv4
            ? (IPAddress(ipv4: 0xC000_0201), IPAddress(ipv4: 0x0B00_0000 | UInt32(number)), port)
            : (
                try address("2001:db8:ffff::1"),
                IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: UInt64(number)), port
            )
    }

    private static func move(_ old: OutboundSA, _ number: Int) throws -> OutboundSA {
        let place = try place(number)
        return try OutboundSA(
            moving: old, source: place.source, destination: place.destination,
            encapsulation: place.port.map { UDPEncapsulation(sourcePort: 4500, destinationPort: $0) }, pathMTU: 1500)
    }

    /// Why the headers are not those of one place; nil when they are.
    private static func fault(_ outer: [UInt8]) -> String? {
        guard let first = outer.first else { return "no packet" }
        let isIPv4 = first == 0x45
        guard isIPv4 || first >> 4 == 6 else { return "begins with \(first)" }
        let number = outer[(isIPv4 ? 17 : 37)..<(isIPv4 ? 20 : 40)].reduce(0) { $0 << 8 | Int($1) }
        guard let place = try? place(number), (place.source.family == .ipv4) == isIPv4 else { return "place \(number)" }
        let header = isIPv4 ? 20 : 40
        guard outer[isIPv4 ? 9 : 6] == (place.port == nil ? IPProtocol.esp : IPProtocol.udp) else {
            return "protocol of place \(number)"
        }
        let esp = header + (place.port == nil ? 0 : 8)
        if let port = place.port, UInt16(outer[header + 2]) << 8 | UInt16(outer[header + 3]) != port {
            return "port of place \(number)"
        }
        guard outer[esp..<esp + 4].reduce(0, { $0 << 8 | UInt32($1) }) == 0xC0FF_EE01 else { return "SPI" }
        guard !isIPv4 || outer.withUnsafeBytes({ $0.baseAddress.map { Checksum.internet($0, count: 20) } }) == 0 else {
            return "checksum"
        }
        return nil
    }

    /// New headers outlive the object that brought them: a worker may meet them after it is gone.
    @Test(arguments: 1...3)
    func headersOutliveTheirObject(moves: Int) throws {
        let tunnel = try Tunnel(parameters())
        var newest: OutboundSA? = tunnel.outbound
        for number in 1...moves { newest = try newest.map { try Self.move($0, number) } }
        newest = nil
        let reused = (0..<64).map { _ in [UInt8](repeating: 0xEE, count: 72) }
        ESPOutbound.follow(tunnel.outbound.runtime)
        #expect(Self.fault(try tunnel.protect(ipv4(100)).outer) == nil)
        #expect(reused.count == 64)
    }

    /// The owner sends while the control side moves the SA again and again: each packet has the headers of one place, and the
    /// last place is reached.
    @Test func headersAreWhole() async throws {
        let tunnel = try Tunnel(parameters())
        let last = 20_000
        var newest = try Self.move(tunnel.outbound, 2)
        ESPOutbound.follow(tunnel.outbound.runtime)
        let old = newest
        let mover = Task.detached {
            for number in 3...last { newest = try Self.move(newest, number) }
            return newest
        }
        var faults: Set<String> = []
        for _ in 0..<10_000 {
            ESPOutbound.follow(old.runtime)
            if let fault = Self.fault(try tunnel.protect(ipv4(60)).outer) { faults.insert(fault) }
        }
        let end = try await mover.value
        ESPOutbound.follow(end.runtime)
        let outer = try tunnel.protect(ipv4(60)).outer
        #expect(faults == [] && Self.fault(outer) == nil)
        #expect(outer[17..<20].reduce(0) { $0 << 8 | Int($1) } == last)
        #expect(end.usage.sequence == 10_001)
    }
}
