/// V: a constant that tells implementations apart (RFC 7296 section 3.12). Unfamiliar ones are ignored.
public struct VendorIDPayload: Hashable, Sendable {
    public var data: [UInt8]

    public init(_ data: [UInt8]) { self.data = data }
}

extension VendorIDPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) { data = reader.takeAll() }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(data) }
}
