/// EAP: one EAP message, opaque here (RFC 7296 section 3.16).
public struct EAPPayload: Hashable, Sendable {
    public var message: [UInt8]

    public init(_ message: [UInt8]) { self.message = message }
}

extension EAPPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) { message = reader.takeAll() }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(message) }
}
