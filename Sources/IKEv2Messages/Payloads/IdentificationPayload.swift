/// IDi and IDr: who the sender is, or whom it wants to talk to (RFC 7296 section 3.5).
///
///     |   ID Type     |                 RESERVED                      |
///     ~                   Identification Data                         ~
public struct IdentificationPayload: Sendable {
    public var type: IdentificationType
    public var data: [UInt8]
    /// What a peer sent in the reserved field: meaningless, but part of what its AUTH payload covers.
    private var reserved: [UInt8] = [0, 0, 0]

    public init(type: IdentificationType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// The payload without its generic header, exactly as on the wire: `RestOfInitIDPayload` and `RestOfRespIDPayload`
    /// of RFC 7296 section 2.15.
    public var authenticatedBytes: [UInt8] { [type.rawValue] + reserved + data }
}

extension IdentificationPayload: Hashable {
    public static func == (left: Self, right: Self) -> Bool { left.type == right.type && left.data == right.data }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(data)
    }
}

extension IdentificationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        type = IdentificationType(rawValue: try reader.uint8())
        reserved = try reader.take(3)
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(type.rawValue)
        writer.append(zeros: 3)
        writer.append(data)
    }
}
