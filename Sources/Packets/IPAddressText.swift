// The text forms of addresses. Not for the hot path: these functions allocate.

extension IPAddress: LosslessStringConvertible {
    /// Reads a dotted quad (four decimal parts, no leading zeros) or one of the forms of RFC 4291 section 2.2.
    /// Zones ("%eth0") and prefix lengths are not part of an address: nil.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 45 else { return nil }
        if let bits = AddressText.ipv4(bytes[...]) {
            self.init(ipv4: bits)
        } else if let (high, low) = AddressText.ipv6(bytes[...]) {
            self.init(ipv6High: high, low: low)
        } else {
            return nil
        }
    }

    /// The canonical text: a dotted quad, or RFC 5952 for IPv6.
    public var description: String {
        family == .ipv4 ? AddressText.dottedQuad(UInt32(truncatingIfNeeded: low)) : AddressText.canonical(high, low)
    }
}

/// The grammar of address text.
enum AddressText {
    /// Four parts of one to three digits, each at most 255.
    static func ipv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard let value = decimal(part, maximum: 255) else { return nil }
            bits = bits << 8 | UInt32(value)
        }
        return bits
    }

    /// Eight groups, of which one run may be left out as "::" and the last two may be a dotted quad.
    static func ipv6(_ text: ArraySlice<UInt8>) -> (high: UInt64, low: UInt64)? {
        var before: [UInt16] = []
        var after: [UInt16] = []
        if let gap = firstGap(text) {
            guard readGroups(text[..<gap], into: &before, quadAllowed: false),
                readGroups(text[(gap + 2)...], into: &after, quadAllowed: true),
                before.count + after.count < 8
            else { return nil }
        } else {
            guard readGroups(text, into: &before, quadAllowed: true), before.count == 8 else { return nil }
        }
        let groups = before + Array(repeating: 0, count: 8 - before.count - after.count) + after
        let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        return (high, low)
    }

    /// A decimal number without sign or leading zeros.
    static func decimal(_ text: ArraySlice<UInt8>, maximum: Int) -> Int? {
        guard let first = text.first, text.count <= 3, text.count == 1 || first != UInt8(ascii: "0") else { return nil }
        var value = 0
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value <= maximum ? value : nil
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The place where "::" starts. A second one shows up later as an empty group, which is refused.
    private static func firstGap(_ text: ArraySlice<UInt8>) -> Int? {
        text.indices.dropLast().first { text[$0] == UInt8(ascii: ":") && text[$0 + 1] == UInt8(ascii: ":") }
    }

    /// Groups of one to four hexadecimal digits between colons; nothing at all is no group.
    private static func readGroups(_ text: ArraySlice<UInt8>, into groups: inout [UInt16], quadAllowed: Bool) -> Bool {
        if text.isEmpty { return true }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return false }
        for (index, part) in parts.enumerated() {
            if quadAllowed, index == parts.count - 1, let quad = ipv4(part) {
                groups.append(UInt16(truncatingIfNeeded: quad >> 16))
                groups.append(UInt16(truncatingIfNeeded: quad))
                continue
            }
            guard (1...4).contains(part.count) else { return false }
            var value: UInt16 = 0
            for byte in part {
                guard let digit = hexDigit(byte) else { return false }
                value = value << 4 | UInt16(digit)
            }
            groups.append(value)
        }
        return groups.count <= 8
    }
}

// MARK: - Writing

extension AddressText {
    static func dottedQuad(_ bits: UInt32) -> String {
        "\(bits >> 24).\(bits >> 16 & 0xFF).\(bits >> 8 & 0xFF).\(bits & 0xFF)"
    }

    /// RFC 5952 section 4: lower case, no leading zeros, the longest run of two or more zero groups (the first
    /// of equals) as "::"; section 5: IPv4-mapped addresses end in a dotted quad.
    static func canonical(_ high: UInt64, _ low: UInt64) -> String {
        if high == 0, low >> 32 == 0xFFFF {
            return "::ffff:" + dottedQuad(UInt32(truncatingIfNeeded: low))
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
        }
        let run = longestZeroRun(groups)
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return run.count < 2 ? text(0..<8) : text(0..<run.lowerBound) + "::" + text(run.upperBound..<8)
    }

    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        for index in groups.indices {
            if groups[index] != 0 {
                start = index + 1
            } else if index + 1 - start > best.count {
                best = start..<index + 1
            }
        }
        return best
    }
}
