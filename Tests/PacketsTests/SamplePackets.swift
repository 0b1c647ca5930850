// Builders of sample packets, written byte by byte so that they share no code with what they test.

struct IPv4Sample {
    var trafficClass: UInt8 = 0
    var identification: UInt16 = 0x1234
    /// Flags and fragment offset: 0x4000 DF, 0x2000 MF, offset in eight-byte units.
    var fragmentField: UInt16 = 0
    var timeToLive: UInt8 = 64
    var number: UInt8 = 17
    var source: [UInt8] = [192, 0, 2, 1]
    var destination: [UInt8] = [198, 51, 100, 2]
    var options: [UInt8] = []
    var payload: [UInt8] = samplePorts

    var bytes: [UInt8] {
        let headerLength = 20 + options.count
        var header: [UInt8] = [
            0x40 | UInt8(headerLength / 4), trafficClass, 0, 0, 0, 0, 0, 0, timeToLive, number, 0, 0,
        ]
        header += source + destination + options
        header.set(UInt16(headerLength + payload.count), at: 2)
        header.set(identification, at: 4)
        header.set(fragmentField, at: 6)
        header.set(naiveChecksum(header), at: 10)
        return header + payload
    }
}

struct IPv6Sample {
    var trafficClass: UInt8 = 0
    var flowLabel: UInt32 = 0
    var hopLimit: UInt8 = 64
    /// Extension headers in order: number, then bytes with a next header of 0, which is filled in.
    var extensions: [(number: UInt8, bytes: [UInt8])] = []
    var number: UInt8 = 17
    var source: [UInt8] = hex("20010db8 00000000 00000000 00000001")
    var destination: [UInt8] = hex("20010db8 00000001 00000000 00000002")
    var payload: [UInt8] = samplePorts

    var bytes: [UInt8] {
        var chain: [UInt8] = []
        for (index, header) in extensions.enumerated() {
            var bytes = header.bytes
            bytes[0] = index + 1 < extensions.count ? extensions[index + 1].number : number
            chain += bytes
        }
        let length = UInt16(chain.count + payload.count)
        let word = UInt32(6) << 28 | UInt32(trafficClass) << 20 | flowLabel
        let first = (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) }
        return first + [UInt8(length >> 8), UInt8(length & 0xFF), extensions.first?.number ?? number, hopLimit]
            + source + destination + chain + payload
    }
}

/// A UDP header from port 4660 to port 22136 with no data.
let samplePorts: [UInt8] = [0x12, 0x34, 0x56, 0x78, 0, 8, 0, 0]

/// A fragment header for `offset` bytes.
func fragmentHeader(offset: UInt16, more: Bool) -> (number: UInt8, bytes: [UInt8]) {
    (44, [0, 0, UInt8(offset >> 8), UInt8(offset & 0xF8) | (more ? 1 : 0), 1, 2, 3, 4])
}

/// A destination options header of `units` times eight bytes, filled with padding.
func destinationOptions(_ units: Int = 1) -> (number: UInt8, bytes: [UInt8]) {
    (60, [0, UInt8(units - 1)] + Array(repeating: 0, count: units * 8 - 2))
}

/// A hop-by-hop options header of eight bytes: a PadN option.
let hopByHop: (number: UInt8, bytes: [UInt8]) = (0, [0, 0, 1, 4, 0, 0, 0, 0])
