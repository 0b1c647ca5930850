/// A data attribute of a transform (RFC 7296 section 3.3.5): two bytes in place (AF = 1), or any length (AF = 0).
public struct TransformAttribute: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        case short(UInt16)
        case variable([UInt8])
    }

    /// IKEv2 Transform Attribute Types, 15 bits.
    public struct AttributeType: Codepoint {
        public let rawValue: UInt16
        /// The format bit is dropped.
        public init(rawValue: UInt16) { self.rawValue = rawValue & 0x7FFF }

        public static let keyLength = Self(rawValue: 14)

        public static let label = "attribute"
        public static let names: [Self: String] = [.keyLength: "Key Length"]
    }

    public let type: AttributeType
    public let value: Value

    public init(type: AttributeType, value: Value) {
        self.type = type
        self.value = value
    }

    /// In bits.
    public static func keyLength(_ bits: UInt16) -> TransformAttribute {
        TransformAttribute(type: .keyLength, value: .short(bits))
    }

    private static let shortFormat: UInt16 = 0x8000

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let field = try reader.uint16()
        type = AttributeType(rawValue: field)
        if field & Self.shortFormat != 0 {
            value = .short(try reader.uint16())
        } else {
            let length = Int(try reader.uint16())
            value = .variable(try reader.take(length))
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        switch value {
        case .short(let bits):
            writer.append(type.rawValue | Self.shortFormat)
            writer.append(bits)
        case .variable(let data):
            writer.append(type.rawValue)
            try writer.append(length: data.count, of: "attribute length")
            writer.append(data)
        }
    }
}
