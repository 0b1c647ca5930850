/// KE: a public value (RFC 7296 section 3.4).
///
///     |   Diffie-Hellman Group Num    |           RESERVED            |
///     ~                       Key Exchange Data                       ~
public struct KeyExchangePayload: Hashable, Sendable {
    public var method: KeyExchangeID
    public var data: [UInt8]

    public init(method: KeyExchangeID, data: [UInt8]) {
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
