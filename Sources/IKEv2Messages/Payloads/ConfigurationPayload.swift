/// CP: addresses and other settings for a remote host (RFC 7296 section 3.15).
///
///     |   CFG Type    |                    RESERVED                   |
///     ~                   Configuration Attributes                    ~
package struct ConfigurationPayload: Hashable, Sendable {
    package var type: ConfigurationType
    package var attributes: [Attribute]

    package init(type: ConfigurationType, attributes: [Attribute] = []) {
        self.type = type
        self.attributes = attributes
    }

    /// Section 3.15.1. An empty value in a request asks for any.
    package struct Attribute: Hashable, Sendable {
        package let type: ConfigurationAttributeType
        package let value: [UInt8]

        package init(_ type: ConfigurationAttributeType, value: [UInt8] = []) {
            self.type = type
            self.value = value
        }
    }
}

extension ConfigurationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        type = ConfigurationType(rawValue: try reader.uint8())
        try reader.skip(3)
        attributes = []
        while !reader.isAtEnd {
            if attributes.count == reader.limits.configurationAttributes {
                throw reader.failure(
                    .tooMany(field: "configuration attributes", limit: reader.limits.configurationAttributes))
            }
            let type = ConfigurationAttributeType(rawValue: try reader.uint16())
            let length = Int(try reader.uint16())
            attributes.append(Attribute(type, value: try reader.take(length)))
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(type.rawValue)
        writer.append(zeros: 3)
        for attribute in attributes {
            writer.append(attribute.type.rawValue)
            try writer.append(length: attribute.value.count, of: "configuration attribute length")
            writer.append(attribute.value)
        }
    }
}
