import Packets

/// Puts the fragments of outer packets together, as the peer's host does.
public enum OuterReassembly {
    /// The packets that `packets` make, in the order in which the first fragments of each came; what is no fragment is as it
    /// was. A packet of which a fragment is missing or wrong comes out empty.
    public static func packets(_ packets: [[UInt8]]) -> [[UInt8]] {
        var whole: [[UInt8]] = []
        var pieces: [[UInt8]] = []
        for packet in packets {
            guard isFragment(packet) else {
                whole.append(packet)
                continue
            }
            pieces.append(packet)
            guard !hasMore(packet) else { continue }
            whole.append(join(pieces))
            pieces = []
        }
        return pieces.isEmpty ? whole : whole + [[]]
    }

    private static func isFragment(_ packet: [UInt8]) -> Bool {
        packet.isIPv4 ? packet.number16(6) & 0x3FFF != 0 : packet[6] == IPProtocol.fragment
    }

    private static func hasMore(_ packet: [UInt8]) -> Bool {
        packet.isIPv4 ? packet[6] & 0x20 != 0 : packet[43] & 1 != 0
    }

    private static func join(_ pieces: [[UInt8]]) -> [UInt8] {
        guard let first = pieces.first else { return [] }
        let isIPv4 = first.isIPv4
        let header = isIPv4 ? 20 : 48
        // The same addresses, protocol and identification.
        let same = isIPv4 ? [4..<6, 8..<10, 12..<20] : [6..<43, 44..<48]
        var data: [UInt8] = []
        for piece in pieces {
            let offset = isIPv4 ? Int(piece.number16(6) & 0x1FFF) * 8 : Int(piece.number16(42) & 0xFFF8)
            let length = isIPv4 ? Int(piece.number16(2)) : Int(piece.number16(4)) + 40
            let isAlike = same.allSatisfy { range in
                range.allSatisfy { $0 == 42 || piece[$0] == first[$0] }
            }
            guard offset == data.count, length == piece.count, isAlike, !isIPv4 || piece.withHeaderChecksum() == piece
            else { return [] }
            data += piece[header...]
        }
        if isIPv4 {
            var packet = Array(first[..<20]) + data
            packet.replaceSubrange(2..<4, with: bigEndian(UInt16(packet.count)))
            packet.replaceSubrange(6..<8, with: [0, 0])
            return packet.withHeaderChecksum()
        }
        var packet = Array(first[..<40]) + data
        packet.replaceSubrange(4..<6, with: bigEndian(UInt16(data.count)))
        packet[6] = first[40]
        return packet
    }
}
