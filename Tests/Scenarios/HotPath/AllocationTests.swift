import CAllocationCounter
import Cryptography
import Dataplane
import InMemory
import Packets
import Telemetry
import TestSupport
import Testing
import XDP

/// A round of a worker neither allocates nor locks, whatever the packets and whatever becomes of them. Counted over
/// whole rounds of whole gateways; what the compiler made of them is the other half (`DisassemblyTests`).
@Suite struct AllocationTests {
    private struct Calls: Equatable {
        var allocations: UInt64 = 0
        var locks: UInt64 = 0
    }

    /// What this thread called during `body`.
    private func calls(during body: () -> Void) -> Calls {
        let (allocations, locks) = (sluice_allocations(), sluice_locks())
        body()
        return Calls(allocations: sluice_allocations() - allocations, locks: sluice_locks() - locks)
    }

    /// One round for frames that lie ready; every worker of the site takes part.
    private func round(_ site: MemorySite) -> Calls {
        let now = site.clock.now
        let gateway = site.gateway
        return calls { gateway.pollOnce(now: now) }
    }

    private func deliver(_ frames: [[UInt8]], to site: MemorySite, at port: MemorySite.Port) {
        for (number, frame) in frames.enumerated() {
            let queue = site.gateway.queues[number % site.gateway.queues.count]
            (port == .lan ? queue.lan : queue.wan).deliver(frame)
        }
    }

    static let transforms = ["aes128gcm16", "chacha20poly1305", "aes128-sha256", "aes256ctr-sha512", "null-sha384"]
        .compactMap(ESPTransform.init)

    /// Outbound, inbound and, with several workers, over the rings between them; SAs and neighbours known and not yet used.
    @Test(arguments: transforms, [1, 2, 3])
    func traffic(transform: ESPTransform, workers: Int) throws {
        for (outer, isEncapsulated) in [(AddressFamily.ipv4, false), (.ipv6, true)] {
            let network = try MemoryNetwork(
                TunnelOptions {
                    $0.transform = transform
                    $0.outer = outer
                    $0.extended = true
                    $0.isEncapsulated = isEncapsulated
                    $0.associations = 3
                }, MemorySite.Options { $0.workers = workers })
            // Unoptimised code instantiates type metadata when it first needs them; that is not the packets' doing.
            for _ in 0..<3 { try check(network, expecting: nil) }
            for _ in 0..<10 { try check(network, expecting: Calls()) }
        }
    }

    private func check(_ network: MemoryNetwork, expecting: Calls?) throws {
        let (left, right) = (network.left, network.right)
        let packets = network.packets(.ipv4, count: 30, size: 1000) + network.packets(.ipv6, count: 30)
        let plain = packets.map { $0.framed(to: left.plan.lanPort, from: left.plan.hostStation()) }
        deliver(plain, to: left, at: .lan)
        for _ in 0..<3 {
            let made = round(left)
            if let expecting { #expect(made == expecting, "outbound") }
        }
        left.settle()
        let sealed = left.takeWAN()
        #expect(sealed.count == 60)
        deliver(sealed.reversed(), to: right, at: .wan)
        for _ in 0..<3 {
            let made = round(right)
            if let expecting { #expect(made == expecting, "inbound") }
        }
        right.settle()
        #expect(right.takeLAN().count == 60)
        for site in network.sites { #expect(site.drops == [:]) }
    }

    /// What is dropped, answered, fragmented, made to wait or handed to the host costs no allocation either.
    @Test func everythingElse() throws {
        let stress = try GatewayStress(workers: 2)
        let site = stress.site
        var frames = BadInputTests.corpus.sorted { $0.key < $1.key }.map(\.value)
        // To be fragmented, to be answered, and for the host.
        for destination in [stress.network.left.plan.host(.ipv4), site.plan.lanAddress(.ipv4)] {
            for isSmall in [false, true] {
                var packet = IPPacket(from: site.plan.host(.ipv4), to: destination, size: isSmall ? 80 : 1500)
                packet.dontFragment = false
                packet.hopLimit = isSmall ? 1 : 64
                frames.append(packet.bytes.framed(to: site.plan.lanPort, from: site.plan.hostStation()))
            }
        }
        for turn in 0..<3 {
            for start in stride(from: 0, to: frames.count, by: 40) {
                for port in MemorySite.Port.allCases {
                    let some = Array(frames[start..<min(start + 40, frames.count)])
                    deliver(some, to: site, at: port)
                    for _ in 0..<3 {
                        let made = round(site)
                        if turn > 0 { #expect(made == Calls(), "frames from \(start) on at \(port)") }
                    }
                    site.settle()
                    _ = site.takeLAN()
                    _ = site.takeWAN()
                    _ = site.gateway.takeHostPackets()
                    _ = site.gateway.takeEvents()
                }
            }
        }
        #expect(site.drops.count > 20)
        #expect(site[.icmpErrors] > 0 && site[.fragments] > 0 && site[.toHost] > 0 && site[.bypassed] > 0)
        #expect(stress.site.lostFrames == 0)
    }

    /// Packets before their SA: kept, given up, kept again and opened.
    @Test func earlyPackets() throws {
        let network = try MemoryNetwork(TunnelOptions(), MemorySite.Options { $0.workers = 2 })
        let (left, right) = (network.left, network.right)
        let spi = right.inbound[0].parameters.spi
        right.gateway.expectedSPIs.insert(spi)
        for turn in 0..<6 {
            right.builder.removeInbound(spi: spi)
            try right.publish()
            left.receiveFromLAN(network.packets(count: 30))
            deliver(left.takeWAN(), to: right, at: .wan)
            var made = [round(right)]
            #expect(right.takeLAN() == [])
            if turn.isMultiple(of: 2) { network.clock.advance(milliseconds: 501) }
            made.append(round(right))
            try right.builder.addInbound(right.inbound[0])
            try right.publish()
            for _ in 0..<3 { made.append(round(right)) }
            right.settle()
            #expect(right.takeLAN().count == (turn.isMultiple(of: 2) ? 0 : 30))
            if turn > 1 { #expect(made.allSatisfy { $0 == Calls() }, "\(made)") }
        }
        #expect(right.drops == [.unknownSPI: 90] && right.lostFrames == 0)
    }

    /// The tests above could not fail if the counters saw nothing here.
    @Test func countersWork() {
        guard sluice_counters_work() else { return }
        var kept: [UInt8] = []
        #expect(calls { kept = .init(repeating: 1, count: 100_000) }.allocations > 0)
        #expect(kept.count == 100_000)
    }
}
