import Packets
import Telemetry
import Testing

@testable import IPsec

@Suite("ECN through a tunnel (RFC 6040)")
struct ECNTests {
    static let notECT = ECN.notCapable
    static let ect0 = ECN.capable0
    static let ect1 = ECN.capable1
    static let ce = ECN.congestionExperienced

    struct Combination: Sendable {
        let inner, outer: UInt8
        /// nil: dropped.
        let outgoing: UInt8?
        let isAnomaly: Bool

        init(_ inner: UInt8, _ outer: UInt8, _ outgoing: UInt8?, anomaly: Bool = false) {
            self.inner = inner
            self.outer = outer
            self.outgoing = outgoing
            isAnomaly = anomaly
        }
    }

    /// Figure 4, row by row.
    static let figure4 = [
        Combination(notECT, notECT, notECT), Combination(notECT, ect0, notECT, anomaly: true),
        Combination(notECT, ect1, notECT, anomaly: true), Combination(notECT, ce, nil, anomaly: true),
        Combination(ect0, notECT, ect0), Combination(ect0, ect0, ect0), Combination(ect0, ect1, ect1),
        Combination(ect0, ce, ce),
        Combination(ect1, notECT, ect1), Combination(ect1, ect0, ect1, anomaly: true), Combination(ect1, ect1, ect1),
        Combination(ect1, ce, ce),
        Combination(ce, notECT, ce), Combination(ce, ect0, ce), Combination(ce, ect1, ce, anomaly: true),
        Combination(ce, ce, ce),
    ]

    @Test func figureIsComplete() {
        #expect(Set(Self.figure4.map { $0.inner << 2 | $0.outer }).count == 16)
        #expect((Self.notECT, Self.ect1, Self.ect0, Self.ce) == (0, 1, 2, 3))
    }

    /// Whole packets: the inner packet leaves with the right field, the same DSCP and a correct checksum.
    @Test(arguments: figure4, families)
    func decapsulation(combination: Combination, family: AddressFamily) throws {
        let tunnel = try Tunnel(parameters())
        let dscp: UInt8 = 46 << 2
        let sent = packet(family, 80, trafficClass: dscp | combination.inner)
        var outer = try tunnel.protect(sent).outer
        remark(&outer, trafficClass: 0x14 | combination.outer)
        let (verdict, received) = try tunnel.unprotect(outer)
        #expect(tunnel.inbound.status(now: 0).ecnAnomalies == (combination.isAnomaly ? 1 : 0))
        guard let outgoing = combination.outgoing else {
            #expect(verdict == .drop(.ecnIllegal))
            #expect(tunnel.inboundDrops(.ecnIllegal) == 1)
            #expect(tunnel.inbound.status(now: 0).packets == 0)
            return
        }
        #expect(verdict == .pass)
        // Built anew, so the checksum is that of a whole computation.
        #expect(received == packet(family, 80, trafficClass: dscp | outgoing))
    }

    /// Normal mode copies the field outwards; without ECN it is not, and arrivals are left alone.
    @Test(arguments: families, [0, 1, 2, 3] as [UInt8])
    func encapsulation(family: AddressFamily, field: UInt8) throws {
        let sent = packet(family, 60, trafficClass: 0x28 | field)
        for outerFamily in families {
            let normal = try Tunnel(parameters(outerFamily))
            #expect(trafficClass(try normal.protect(sent).outer) == 0x28 | field)
            let none = try Tunnel(parameters(outerFamily) { $0.ecn = false })
            var outer = try none.protect(sent).outer
            #expect(trafficClass(outer) == 0x28)
            if outerFamily == .ipv4 {
                remark(&outer, trafficClass: 3)
                let received = try none.unprotect(outer)
                #expect(received.verdict == .pass)
                #expect(received.inner == sent)
            }
        }
    }

    /// The summary that the dataplane goes on with tells the new field.
    @Test func summaryFollows() throws {
        let tunnel = try Tunnel(parameters())
        let outer = try tunnel.protect(ipv4(60, trafficClass: Self.ect0)).outer
        let start = tunnel.frame.load(outer)
        var operation = ESPOperationBox(start + 20)
        var inner = InnerPacket(start: start)
        let verdict = operation.receive(tunnel, length: outer.count - 20, outerTrafficClass: Self.ce, inner: &inner)
        #expect(verdict == .pass)
        #expect(inner.summary.trafficClass == Self.ce)
    }

    private func trafficClass(_ packet: [UInt8]) -> UInt8 {
        packet[0] >> 4 == 4 ? packet[1] : packet[0] << 4 | packet[1] >> 4
    }

    /// Changes the outer IPv4 header as a router would.
    private func remark(_ outer: inout [UInt8], trafficClass: UInt8) {
        let old = UInt16(outer[0]) << 8 | UInt16(outer[1])
        let checksum = Checksum.update(
            checksum: UInt16(outer[10]) << 8 | UInt16(outer[11]), from: old, to: 0x4500 | UInt16(trafficClass))
        outer[1] = trafficClass
        outer[10] = UInt8(checksum >> 8)
        outer[11] = UInt8(truncatingIfNeeded: checksum)
    }
}
