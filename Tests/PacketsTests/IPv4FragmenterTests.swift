import Packets
import Testing

/// All fragments of a packet; nil when it may not be split. Bounded: no packet has more than 8,192 fragments.
private func fragments(of packet: [UInt8], mtu: Int) -> [[UInt8]]? {
    withMemory(packet) { base, count -> [[UInt8]]? in
        guard var fragmenter = IPv4Fragmenter(base, available: count, mtu: mtu) else { return nil }
        var all: [[UInt8]] = []
        let announced = fragmenter.fragmentCount
        let room = Array(repeating: UInt8(0xEE), count: min(mtu, packet.count))
        for _ in 0..<8192 {
            let (length, buffer) = withMemory(room) { buffer, _ in fragmenter.next(into: buffer) }
            if length == 0 { break }
            all.append(Array(buffer[..<length]))
        }
        #expect(all.count == announced)
        return all
    }.result
}

private struct Fragment {
    let headerLength: Int
    let offset: Int
    let more: Bool
    let payload: [UInt8]

    init(_ bytes: [UInt8]) {
        headerLength = Int(bytes[0] & 15) * 4
        offset = Int(bytes.uint16(at: 6) & 0x1FFF) * 8
        more = bytes.uint16(at: 6) & 0x2000 != 0
        payload = Array(bytes[headerLength...])
    }
}

@Suite("IPv4 fragmenter")
struct IPv4FragmenterTests {
    @Test("Any packet, any MTU: the fragments fit, are valid, and add up to the packet", arguments: 0..<400)
    func reassembly(seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        let options = [[], [1, 1, 1, 0], hex("94040000"), hex("0703 04 01"), hex("94040000 01 07 03 04 8803 00 00")]
        let sample = IPv4Sample(
            trafficClass: UInt8(truncatingIfNeeded: random.next()),
            identification: UInt16(truncatingIfNeeded: random.next()), number: UInt8(truncatingIfNeeded: random.next()),
            options: options[Int(random.next() % UInt64(options.count))],
            payload: random.bytes(Int(random.next() % 3000)))
        let packet = sample.bytes
        let mtu = 68 + Int(random.next() % 1500)
        let pieces = try #require(fragments(of: packet, mtu: mtu))
        if packet.count <= mtu { #expect(pieces == [packet]) }
        check(pieces, of: packet, mtu: mtu)
        var whole: [UInt8] = []
        for piece in pieces {
            let fragment = Fragment(piece)
            #expect(fragment.offset == whole.count)
            whole += fragment.payload
            #expect(fragment.more == (whole.count < sample.payload.count))
        }
        #expect(whole == sample.payload)
    }

    @Test("Fragments of fragments add up too", arguments: 0..<200)
    func twice(seed: UInt64) throws {
        var random = SeededGenerator(state: seed &+ 1000)
        let sample = IPv4Sample(options: hex("94040000"), payload: random.bytes(200 + Int(random.next() % 3000)))
        let first = try #require(fragments(of: sample.bytes, mtu: 300 + Int(random.next() % 1200)))
        let mtu = 68 + Int(random.next() % 300)
        var second: [Fragment] = []
        for piece in first {
            let pieces = try #require(fragments(of: piece, mtu: mtu))
            check(pieces, of: piece, mtu: mtu)
            second += pieces.map(Fragment.init)
        }
        var whole: [UInt8] = []
        for fragment in second.shuffled(using: &random).sorted(by: { $0.offset < $1.offset }) {
            #expect(fragment.offset == whole.count)
            whole += fragment.payload
            #expect(fragment.more == (whole.count < sample.payload.count))
        }
        #expect(whole == sample.payload)
    }

    private func check(_ pieces: [[UInt8]], of packet: [UInt8], mtu: Int) {
        for (index, piece) in pieces.enumerated() {
            let fragment = Fragment(piece)
            #expect(piece.count <= mtu)
            #expect(Int(piece.uint16(at: 2)) == piece.count)
            #expect(naiveChecksum(Array(piece[..<fragment.headerLength])) == 0)
            #expect(piece[1] == packet[1] && piece[4..<6] == packet[4..<6] && piece[8..<10] == packet[8..<10])
            #expect(piece[12..<20] == packet[12..<20])
            if index + 1 < pieces.count { #expect(fragment.payload.count % 8 == 0 && !fragment.payload.isEmpty) }
            #expect(summarise(piece).failure != .headerChecksum)
        }
    }

    /// RFC 791 section 3.1: the leftmost bit of the option type says whether it goes into every fragment.
    @Test("Only options with the copy bit go into later fragments")
    func options() throws {
        // Record route (not copied), router alert (copied), no operation, stream id (copied), end.
        let sample = IPv4Sample(
            options: hex("0707 04 00000000 94040000 01 8804 abcd"), payload: Array(repeating: 7, count: 100))
        let pieces = try #require(fragments(of: sample.bytes, mtu: 68))
        #expect(pieces.map { Fragment($0).payload.count } == [32, 40, 28])
        #expect(Array(pieces[0][20..<36]) == sample.options)
        for piece in pieces.dropFirst() {
            #expect(piece[0] == 0x47)
            #expect(Array(piece[20..<28]) == hex("94040000 8804abcd"))
        }
    }

    @Test("Copied options of odd length are padded with end of options")
    func padding() throws {
        let sample = IPv4Sample(options: hex("8303 04 00"), payload: Array(repeating: 7, count: 100))
        let later = try #require(fragments(of: sample.bytes, mtu: 68))[1]
        #expect(Array(later[20..<24]) == hex("83030400"))
        #expect(Fragment(later).headerLength == 24)
    }

    @Test(
        "Malformed options",
        arguments: ["07000000", "07010000", "07050000", "01010107", "94040000 07ff0000", "010101 94"])
    func malformedOptions(options: String) {
        var bytes = hex(options)
        while bytes.count % 4 != 0 { bytes.insert(1, at: 0) }
        #expect(
            fragments(of: IPv4Sample(options: bytes, payload: Array(repeating: 7, count: 100)).bytes, mtu: 80) == nil)
    }

    @Test("What may not be split")
    func refused() {
        let payload = Array(repeating: UInt8(7), count: 100)
        #expect(fragments(of: IPv4Sample(fragmentField: 0x4000, payload: payload).bytes, mtu: 68) == nil)
        #expect(fragments(of: IPv4Sample(payload: payload).bytes, mtu: 27) == nil)
        #expect(fragments(of: IPv4Sample(payload: payload).bytes, mtu: 28)?.count == 13)
        #expect(fragments(of: IPv4Sample(payload: payload).bytes, mtu: 0) == nil)
        #expect(fragments(of: IPv4Sample(payload: payload).bytes, mtu: -1) == nil)
        #expect(fragments(of: IPv4Sample(fragmentField: 0x2000, payload: payload).bytes, mtu: 68) == nil)
        #expect(fragments(of: IPv4Sample(fragmentField: 0x1FFF, payload: payload).bytes, mtu: 68) == nil)
        #expect(fragments(of: IPv6Sample(payload: payload).bytes, mtu: 68) == nil)
        #expect(fragments(of: [], mtu: 68) == nil)
    }

    @Test("The largest packet there is", arguments: [68, 576, 1500, 65_535])
    func largest(mtu: Int) throws {
        let sample = IPv4Sample(payload: Array(repeating: 0xA5, count: 65_515))
        let pieces = try #require(fragments(of: sample.bytes, mtu: mtu))
        check(pieces, of: sample.bytes, mtu: mtu)
        #expect(pieces.reduce(0) { $0 + Fragment($1).payload.count } == 65_515)
        #expect(pieces.last.map { Fragment($0).more } == false)
    }

    @Test("After the last fragment there is nothing")
    func end() {
        withMemory(IPv4Sample().bytes) { base, count in
            guard var fragmenter = IPv4Fragmenter(base, available: count, mtu: 1500) else {
                Issue.record("refused")
                return
            }
            withMemory(Array(repeating: 0, count: count)) { buffer, _ in
                #expect(fragmenter.next(into: buffer) == count)
                #expect(fragmenter.next(into: buffer) == 0)
                #expect(fragmenter.next(into: buffer) == 0)
            }
        }
    }
}
