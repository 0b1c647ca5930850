/// KE: a public value (RFC 7296 section 3.4).
///
///     |   Diffie-Hellman Group Num    |           RESERVED            |
///     ~                       Key Exchange Data                       ~
package struct KeyExchangePayload: Hashable, Sendable {
    package var method: KeyExchangeID
    package var data: [UInt8]

    package init(method: KeyExchangeID, data: [UInt8]) {
        self.method = method
        self.data = data
    }
}

extension KeyExchangePayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        method = KeyExchangeID(rawValue: try reader.uint16())
        try reader.skip(2)
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(method.rawValue)
        writer.append(zeros: 2)
        writer.append(data)
    }
}

/// Ni and Nr (RFC 7296 section 3.9).
package struct NoncePayload: Hashable, Sendable {
    /// Bytes that a nonce may have.
    package static let lengths = 16...256

    package var data: [UInt8]

    package init(_ data: [UInt8]) { self.data = data }
}

extension NoncePayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        if !Self.lengths.contains(reader.remaining) {
            throw reader.failure(field: "nonce length", reader.remaining, size: 0)
        }
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        if !Self.lengths.contains(data.count) {
            throw EncodingFailure(field: "nonce length", value: data.count, limit: Self.lengths.upperBound)
        }
        writer.append(data)
    }
}
