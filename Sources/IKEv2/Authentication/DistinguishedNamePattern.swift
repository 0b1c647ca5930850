import Cryptography

extension DistinguishedName {
    private static let wildcard = Array("*".utf8)

    /// The relative names as DER, each a SET; nil when the DER is not what it seems.
    private var relativeNames: [[UInt8]]? {
        var outer = DERReader(der)
        guard let content = outer.element(tag: 0x30), outer.isAtEnd else { return nil }
        var reader = DERReader(content)
        var names: [[UInt8]] = []
        while !reader.isAtEnd {
            guard let set = reader.element(tag: 0x31) else { return nil }
            names.append(set)
        }
        return names
    }

    /// Type (an object identifier) and value of a relative name that has one of each.
    private static func attribute(_ relativeName: [UInt8]) -> (type: [UInt8], value: [UInt8])? {
        var set = DERReader(relativeName)
        guard let pair = set.element(tag: 0x30), set.isAtEnd else { return nil }
        var reader = DERReader(pair)
        guard let type = reader.element(tag: 0x06), let value = reader.element(tag: nil), reader.isAtEnd else {
            return nil
        }
        return (type, value)
    }

    var hasWildcards: Bool {
        relativeNames?.contains { Self.attribute($0)?.value == Self.wildcard } ?? false
    }

    /// As `Identity.matches`: relative names in the same order, a value of "*" fits every value of that type.
    func match(pattern: DistinguishedName) -> Int? {
        if matches(pattern) { return Identity.exactMatch }
        guard let own = relativeNames, let wanted = pattern.relativeNames, own.count == wanted.count else { return nil }
        var wildcards = 0
        for (mine, other) in zip(own, wanted) {
            if let right = Self.attribute(other), right.value == Self.wildcard {
                guard Self.attribute(mine)?.type == right.type else { return nil }
                wildcards += 1
            } else {
                guard let left = Self.single(mine), let right = Self.single(other), left.matches(right) else {
                    return nil
                }
            }
        }
        return max(2, Identity.exactMatch - 10 * wildcards)
    }

    /// A name of one relative name, to compare it as names are compared.
    private static func single(_ relativeName: [UInt8]) -> DistinguishedName? {
        DistinguishedName(der: DERReader.encode(0x30, DERReader.encode(0x31, relativeName)))
    }
}

/// Reads elements of DER one after the other.
private struct DERReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// The content of the next element; nil when it is incomplete or has another tag (nil: any).
    mutating func element(tag wanted: UInt8?) -> [UInt8]? {
        guard let tag = rest.popFirst(), wanted == nil || tag == wanted, let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            guard (0x81...0x83).contains(first), rest.count >= Int(first & 0x7f) else { return nil }
            length = rest.prefix(Int(first & 0x7f)).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(Int(first & 0x7f))
        }
        guard length <= rest.count else { return nil }
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
    }

    static func encode(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 0x80 { return [tag, UInt8(count)] + content }
        return [tag, 0x83] + [16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + content
    }
}
