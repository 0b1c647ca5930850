import Packets
import Telemetry
import TestSupport
import Testing

/// DS field and ECN from host to host (RFC 4301 section 5.1.2, RFC 6040).
@Suite struct TrafficClassTests {
    /// What RFC 6040 figure 4 says of inner (column) and outer (row) fields; nil: dropped.
    static let figure: [[UInt8?]] = [
        [0b00, 0b01, 0b10, 0b11],
        [0b00, 0b01, 0b01, 0b11],
        [0b00, 0b01, 0b10, 0b11],
        [nil, 0b11, 0b11, 0b11],
    ]

    @Test(arguments: [AddressFamily.ipv4, .ipv6], [AddressFamily.ipv4, .ipv6])
    func endToEnd(inner: AddressFamily, outer: AddressFamily) throws {
        for copyDSCP in [true, false] {
            let network = try MemoryNetwork(
                TunnelOptions {
                    $0.outer = outer
                    $0.change = { $0.copyDSCP = copyDSCP }
                })
            for trafficClass in stride(from: UInt8(0), through: 255, by: 1) {
                var packet = IPPacket(from: network.left.plan.host(inner), to: network.right.plan.host(inner), size: 70)
                packet.trafficClass = trafficClass
                var seen: [UInt8] = []
                let arrived = network.exchange([packet.bytes]) { frames in
                    seen = frames.map { SentFrame($0).packet.trafficClass }
                    return frames
                }
                #expect(seen == [trafficClass & (copyDSCP ? 0xFF : 0x03)])
                #expect(arrived == [packet.bytes.routed(hops: 2)])
            }
            #expect(network.right.drops == [:])
        }
    }

    /// A router on the way changes the outer header: ECN by the figure, and the outer DSCP never gets in.
    @Test(arguments: [AddressFamily.ipv4, .ipv6], [AddressFamily.ipv4, .ipv6])
    func markedOnTheWay(inner: AddressFamily, outer: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions { $0.outer = outer })
        var dropped: UInt64 = 0
        for outerClass in [UInt8(0), 1, 2, 3, 0xB8, 0xB9, 0xBA, 0xBB] {
            for innerField in UInt8(0)...3 {
                var packet = IPPacket(from: network.left.plan.host(inner), to: network.right.plan.host(inner), size: 70)
                packet.trafficClass = 0x28 | innerField
                let arrived = network.exchange([packet.bytes]) { frames in
                    frames.map { Array($0[..<14]) + Array($0[14...]).with(trafficClass: outerClass) }
                }
                if let field = Self.figure[Int(outerClass & 3)][Int(innerField)] {
                    #expect(arrived == [packet.bytes.routed(hops: 2).with(trafficClass: 0x28 | field)])
                } else {
                    #expect(arrived == [])
                    dropped += 1
                }
            }
        }
        #expect(dropped == 2)
        #expect(network.right.drops == [.ecnIllegal: dropped])
        #expect(network.right.lostFrames == 0)
    }
}
