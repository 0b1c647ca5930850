import Packets
import Testing

@Suite("IPv6 fragmenter")
struct IPv6FragmenterTests {
    private func packet(_ dataLength: Int, nextHeader: UInt8 = IPProtocol.esp) -> [UInt8] {
        [0x60, 0, 0, 0, UInt8(dataLength >> 8), UInt8(dataLength & 255), nextHeader, 64]
            + (0..<32).map { UInt8($0) } + (0..<dataLength).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    }

    private func fragments(of packet: [UInt8], available: Int? = nil, mtu: Int) -> [[UInt8]]? {
        withMemory(packet) { base, count -> [[UInt8]]? in
            guard
                var fragmenter = IPv6Fragmenter(
                    base, available: available ?? count, mtu: mtu, identification: 0xA1B2_C3D4)
            else { return nil }
            var all: [[UInt8]] = []
            let room = Array(repeating: UInt8(0xEE), count: mtu)
            for _ in 0..<8192 {
                let (length, buffer) = withMemory(room) { buffer, _ in fragmenter.next(into: buffer) }
                if length == 0 { break }
                all.append(Array(buffer[..<length]))
            }
            return all
        }.result
    }

    @Test(
        "The fragments fit, and add up to the packet", arguments: [1, 8, 1232, 1233, 1240, 1300, 4000],
        [64, 1280, 1281])
    func reassembly(length: Int, mtu: Int) throws {
        let whole = packet(length)
        let pieces = try #require(fragments(of: whole, mtu: mtu))
        var data: [UInt8] = []
        for (number, piece) in pieces.enumerated() {
            let field = piece.uint16(at: 42)
            #expect(piece.count <= mtu && Int(piece.uint16(at: 4)) == piece.count - 40)
            #expect(piece[6] == IPProtocol.fragment && piece[40] == IPProtocol.esp && piece[41] == 0)
            #expect(Int(field & 0xFFF8) == data.count && field & 6 == 0)
            #expect((field & 1 != 0) == (number < pieces.count - 1))
            #expect(Array(piece[44..<48]) == [0xA1, 0xB2, 0xC3, 0xD4])
            #expect(Array(piece[..<4]) == Array(whole[..<4]) && Array(piece[7..<40]) == Array(whole[7..<40]))
            data += piece[48...]
        }
        #expect(data == Array(whole[40...]))
    }

    @Test("What cannot be fragmented is refused")
    func refused() {
        let whole = packet(100)
        #expect(fragments(of: whole, mtu: 55) == nil)
        #expect(fragments(of: whole, available: 139, mtu: 1280) == nil)
        #expect(fragments(of: whole, available: 39, mtu: 1280) == nil)
        #expect(fragments(of: packet(0), mtu: 1280) == nil)
        for header in [IPProtocol.hopByHop, IPProtocol.routing, IPProtocol.fragment, IPProtocol.destinationOptions] {
            #expect(fragments(of: packet(100, nextHeader: header), mtu: 1280) == nil)
        }
    }
}
