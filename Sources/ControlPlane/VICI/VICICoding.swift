import Cryptography

/// Reads the parts of a packet in order. Every read is checked against the end; nothing here can trap.
struct VICIReader {
    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var atEnd: Bool { offset == bytes.count }

    mutating func byte() throws(VICIError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(offset: offset) }
        defer { offset += 1 }
        return bytes[offset]
    }

    /// An 8-bit length and that many bytes of text.
    mutating func name() throws(VICIError) -> String {
        let start = offset
        let length = Int(try byte())
        let raw = try take(length, from: start)
        guard let name = String(validating: raw, as: UTF8.self) else { throw .nameIsNotUTF8(offset: start) }
        return name
    }

    /// A 16-bit length in network order and that many bytes.
    private mutating func value() throws(VICIError) -> ArraySlice<UInt8> {
        let start = offset
        let high = Int(try byte())
        let low = Int(try byte())
        return try take(high << 8 | low, from: start)
    }

    private mutating func take(_ count: Int, from start: Int) throws(VICIError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else { throw .truncated(offset: start) }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    /// All elements up to the end of the packet. Iterative: a hostile packet cannot exhaust the stack.
    /// - Parameter hasSecrets: values that `VICISecrets` names go straight into locked memory.
    mutating func message(hasSecrets: Bool = false) throws(VICIError) -> VICIMessage {
        var current = VICIMessage()
        var parents: [(name: String, message: VICIMessage)] = []
        while !atEnd {
            let start = offset
            let rawType = try byte()
            guard let type = VICIElementType(rawValue: rawType) else {
                throw .unknownElement(rawType, offset: start)
            }
            switch type {
            case .sectionStart:
                guard parents.count < VICILimits.maximumDepth else { throw .tooDeep(offset: start) }
                parents.append((try name(), current))
                current = VICIMessage()
            case .sectionEnd:
                guard let parent = parents.popLast() else { throw .elementOutOfPlace(offset: start) }
                let section = current
                current = parent.message
                current.append(parent.name, section: section)
            case .keyValue:
                let name = try name()
                if hasSecrets, VICISecrets.isSecret(name) {
                    current.append(name, secret: SecretBytes(copying: try value()))
                } else {
                    current.append(name, bytes: Array(try value()))
                }
            case .listStart:
                let name = try name()
                current.fields.append(.init(name: name, content: .list(try listItems())))
            case .listItem, .listEnd:
                throw .elementOutOfPlace(offset: start)
            }
        }
        guard parents.isEmpty else { throw .unclosed }
        return current
    }

    /// List items up to the end of the list; nothing else may stand in a list.
    private mutating func listItems() throws(VICIError) -> [[UInt8]] {
        var items: [[UInt8]] = []
        while !atEnd {
            let start = offset
            switch VICIElementType(rawValue: try byte()) {
            case .listItem: items.append(Array(try value()))
            case .listEnd: return items
            default: throw .elementOutOfPlace(offset: start)
            }
        }
        throw .unclosed
    }
}

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

/// The protocol's sizes, and the bounds set on what a peer may ask us to hold.
///
/// strongSwan, `src/libcharon/plugins/vici/README.md`: a packet is a 32-bit length in network order and at most 512 KiB,
/// names have an 8-bit length and values a 16-bit length.
package enum VICILimits {
    /// Bytes of the length that precedes each packet.
    package static let lengthFieldBytes = 4
    /// Largest packet in bytes, without its length.
    package static let maximumPacketBytes = 512 * 1024
    /// Longest name in bytes.
    package static let maximumNameBytes = 255
    /// Longest value or list item in bytes.
    package static let maximumValueBytes = 65_535
    /// Deepest nesting of sections; real messages need five.
    package static let maximumDepth = 32
}

/// The values of requests that are secrets: they are read into locked memory, and the packet is zeroed.
enum VICISecrets {
    private static let commands: Set<String> = ["load-shared", "load-key"]

    /// Whether a request of this command may carry a secret.
    static func mayBeIn(_ command: String) -> Bool { commands.contains(command) }

    /// Whether a field of such a request is one.
    static func isSecret(_ field: String) -> Bool { field == "data" }
}

/// Why bytes are not a VICI packet, or a message cannot be written as one.
package enum VICIError: Error, Hashable, Sendable, CustomStringConvertible {
    case truncated(offset: Int)
    case unknownPacketType(UInt8)
    case unknownElement(UInt8, offset: Int)
    case nameIsNotUTF8(offset: Int)
    case elementOutOfPlace(offset: Int)
    case tooDeep(offset: Int)
    case unclosed
    case trailingBytes(offset: Int)
    case packetTooLong(bytes: Int)
    case nameTooLong(bytes: Int)
    case valueTooLong(bytes: Int)

    package var description: String {
        switch self {
        case .truncated(let offset): "the packet ends inside the element at byte \(offset)"
        case .unknownPacketType(let type): "packet type \(type) does not exist"
        case .unknownElement(let type, let offset): "element type \(type) at byte \(offset) does not exist"
        case .nameIsNotUTF8(let offset): "the name at byte \(offset) is not text"
        case .elementOutOfPlace(let offset): "the element at byte \(offset) is not allowed there"
        case .tooDeep(let offset): "sections nest deeper than \(VICILimits.maximumDepth) at byte \(offset)"
        case .unclosed: "a section or list is not closed"
        case .trailingBytes(let offset): "bytes follow the end of the packet at byte \(offset)"
        case .packetTooLong(let bytes):
            "a packet of \(bytes) bytes is longer than the \(VICILimits.maximumPacketBytes) allowed"
        case .nameTooLong(let bytes):
            "a name of \(bytes) bytes is longer than the \(VICILimits.maximumNameBytes) allowed"
        case .valueTooLong(let bytes):
            "a value of \(bytes) bytes is longer than the \(VICILimits.maximumValueBytes) allowed"
        }
    }
}
