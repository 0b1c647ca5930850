/// A payload whose type is unknown here (RFC 7296 section 2.5).
public struct UnknownPayload: Hashable, Sendable {
    public let type: PayloadType
    public let data: [UInt8]

    public init(type: PayloadType, data: [UInt8]) {
        self.type = type
        self.data = data
    }
}

extension UnknownPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(type: reader.payload ?? .none, data: reader.takeAll())
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(data) }
}
