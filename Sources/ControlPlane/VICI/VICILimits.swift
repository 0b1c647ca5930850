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
