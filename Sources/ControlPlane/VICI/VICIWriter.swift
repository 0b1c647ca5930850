/// Writes one packet: room for the length first, then the parts in order.
struct VICIWriter {
    private var bytes = [UInt8](repeating: 0, count: VICILimits.lengthFieldBytes)

    mutating func begin(_ type: VICIPacketType) {
        bytes.append(type.rawValue)
    }

    mutating func begin(_ type: VICIPacketType, name: String) throws(VICIError) {
        begin(type)
        try append(name: name)
    }

    mutating func append(_ message: VICIMessage, depth: Int = 0) throws(VICIError) {
        guard depth <= VICILimits.maximumDepth else { throw .tooDeep(offset: bytes.count) }
        for field in message.fields {
            switch field.content {
            case .value(let value):
                try begin(.keyValue, name: field.name)
                try append(value: value)
            case .secret(let secret):
                try begin(.keyValue, name: field.name)
                try append(value: secret.withUnsafeBytes { Array($0) })
            case .list(let items):
                try begin(.listStart, name: field.name)
                for item in items {
                    bytes.append(VICIElementType.listItem.rawValue)
                    try append(value: item)
                }
                bytes.append(VICIElementType.listEnd.rawValue)
            case .section(let section):
                try begin(.sectionStart, name: field.name)
                try append(section, depth: depth + 1)
                bytes.append(VICIElementType.sectionEnd.rawValue)
            }
        }
    }

    /// Fills in the length.
    consuming func finish() throws(VICIError) -> [UInt8] {
        let length = bytes.count - VICILimits.lengthFieldBytes
        guard length <= VICILimits.maximumPacketBytes else { throw .packetTooLong(bytes: length) }
        for index in 0..<VICILimits.lengthFieldBytes {
            bytes[index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * index))
        }
        return bytes
    }

    private mutating func begin(_ type: VICIElementType, name: String) throws(VICIError) {
        bytes.append(type.rawValue)
        try append(name: name)
    }

    private mutating func append(name: String) throws(VICIError) {
        let text = name.utf8
        guard text.count <= VICILimits.maximumNameBytes else { throw .nameTooLong(bytes: text.count) }
        bytes.append(UInt8(text.count))
        bytes.append(contentsOf: text)
    }

    private mutating func append(value: [UInt8]) throws(VICIError) {
        guard value.count <= VICILimits.maximumValueBytes else { throw .valueTooLong(bytes: value.count) }
        bytes.append(UInt8(value.count >> 8))
        bytes.append(UInt8(value.count & 0xFF))
        bytes.append(contentsOf: value)
    }
}
