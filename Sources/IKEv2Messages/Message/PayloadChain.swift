/// Payloads one behind the other, each announced by the one before (RFC 7296 section 3.2):
///
///     | Next Payload  |C|  RESERVED   |         Payload Length        |
enum PayloadChain {
    static let headerLength = 4
    private static let critical: UInt8 = 0x80

    /// Reads to the end of `reader`. The critical bit of known payloads is ignored; an unknown payload is kept as
    /// such, or refused if it is critical (RFC 7296 section 2.5). Bytes behind the last payload are passed over when the
    /// peer has protected them: some count their padding wrongly.
    static func decode(
        from reader: inout ByteReader, first: PayloadType
    ) throws(DecodingFailure) -> (payloads: [Payload], encrypted: EncryptedPart?) {
        var payloads: [Payload] = []
        var type = first
        while type != .none {
            reader.payload = type
            if payloads.count == reader.limits.payloads {
                throw reader.failure(.tooMany(field: "payloads", limit: reader.limits.payloads))
            }
            let start = reader.position
            let next = PayloadType(rawValue: try reader.uint8())
            let isCritical = try reader.uint8() & critical != 0
            let length = Int(try reader.uint16())
            var part = try reader.rest(of: length, lengthRead: headerLength, field: "payload length")

            if type == .encrypted || type == .encryptedFragment {
                if reader.isInsideEncrypted { throw reader.failure(.encryptedPayloadNested, at: start) }
                if !reader.isAtEnd { throw reader.failure(.encryptedPayloadNotLast) }
                let encrypted = try EncryptedPart(
                    from: &part, headerOffset: start, firstPayload: next, isFragment: type == .encryptedFragment)
                return (payloads, encrypted)
            }
            if let payload = try Payload(type: type, from: &part) {
                payloads.append(payload)
            } else if isCritical {
                throw reader.failure(.unsupportedCriticalPayload(type), at: start)
            } else {
                payloads.append(.unknown(try UnknownPayload(from: &part)))
            }
            type = next
        }
        reader.payload = nil
        if !reader.isInsideEncrypted { try reader.requireEnd() }
        return (payloads, nil)
    }

    /// Writes `payloads`; the last announces `following`. The critical bit is never set: all payloads that this
    /// implementation sends are defined in RFCs that want it clear.
    static func encode(
        _ payloads: [Payload], following: PayloadType = .none, into writer: inout ByteWriter
    ) throws(EncodingFailure) {
        for (index, payload) in payloads.enumerated() {
            let start = writer.count
            let next = index + 1 < payloads.count ? payloads[index + 1].type : following
            writer.append(next.rawValue)
            writer.append(zeros: 3)
            try payload.body.encode(into: &writer)
            try writer.patchLength(since: start, at: start + 2, of: "length of payload \(payload.type)")
        }
    }
}
