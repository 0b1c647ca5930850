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
