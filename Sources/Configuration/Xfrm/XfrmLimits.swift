import IPsec

extension Lifetime {
    /// Reads `limit KIND NUMBER`, whose first word has just been read.
    mutating func read(_ limit: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) {
        let kind = try cursor.value(of: limit, "a kind of limit")
        // 0 seconds are no limit; 0 bytes or packets would be reached at once.
        switch kind.text {
        case "time-soft": softSecondsAfterAdd = try Self.seconds(kind, &cursor)
        case "time-hard": hardSecondsAfterAdd = try Self.seconds(kind, &cursor)
        case "time-use-soft": softSecondsAfterUse = try Self.seconds(kind, &cursor)
        case "time-use-hard": hardSecondsAfterUse = try Self.seconds(kind, &cursor)
        case "byte-soft": softBytes = try Self.amount(kind, "number of bytes", &cursor)
        case "byte-hard": hardBytes = try Self.amount(kind, "number of bytes", &cursor)
        case "packet-soft": softPackets = try Self.amount(kind, "number of packets", &cursor)
        case "packet-hard": hardPackets = try Self.amount(kind, "number of packets", &cursor)
        default:
            throw cursor.error(
                kind, "not a kind of limit",
                "use time-soft, time-hard, time-use-soft, time-use-hard, byte-soft, byte-hard, packet-soft or packet-hard"
            )
        }
    }

    private static func seconds(_ kind: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) -> UInt64? {
        let value: UInt64 = try cursor.number(of: kind, "number of seconds")
        return value == 0 || value == .max ? nil : value
    }

    private static func amount(
        _ kind: Word, _ what: String, _ cursor: inout WordCursor
    ) throws(ConfigurationProblem) -> UInt64? {
        let value: UInt64 = try cursor.number(of: kind, what, in: 1...UInt64.max)
        return value == .max ? nil : value
    }

    /// Pairs whose soft limit can never be seen, because the hard one comes first.
    var uselessSoftLimits: [String] {
        let pairs: [(String, UInt64?, UInt64?)] = [
            ("byte-soft", softBytes, hardBytes), ("packet-soft", softPackets, hardPackets),
            ("time-soft", softSecondsAfterAdd, hardSecondsAfterAdd),
            ("time-use-soft", softSecondsAfterUse, hardSecondsAfterUse),
        ]
        return pairs.compactMap { name, soft, hard in
            guard let soft, let hard, soft >= hard else { return nil }
            return name
        }
    }
}
