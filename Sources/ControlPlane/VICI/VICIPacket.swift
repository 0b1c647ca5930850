/// One packet of the protocol, as it follows its 32-bit length on the stream.
///
/// A client sends requests and registrations; a server sends the rest. Responses carry no name: a connection handles one
/// request at a time, in order.
package enum VICIPacket: Hashable, Sendable {
    case commandRequest(String, VICIMessage)
    case commandResponse(VICIMessage)
    case commandUnknown
    case eventRegister(String)
    case eventUnregister(String)
    case eventConfirm
    case eventUnknown
    case event(String, VICIMessage)
}

/// The first byte of a packet.
enum VICIPacketType: UInt8 {
    case commandRequest = 0
    case commandResponse = 1
    case commandUnknown = 2
    case eventRegister = 3
    case eventUnregister = 4
    case eventConfirm = 5
    case eventUnknown = 6
    case event = 7
}

/// The first byte of an element of a message.
enum VICIElementType: UInt8 {
    case sectionStart = 1
    case sectionEnd = 2
    case keyValue = 3
    case listStart = 4
    case listItem = 5
    case listEnd = 6
}

extension VICIPacket {
    /// Whether its bytes should be zeroed once they are read.
    var mayCarrySecrets: Bool {
        if case .commandRequest(let name, _) = self { VICISecrets.mayBeIn(name) } else { false }
    }

    /// Reads a whole packet, without its length; every byte must belong to it. Its owner zeroes `bytes` if the packet
    /// `mayCarrySecrets`.
    package init(decoding bytes: some Collection<UInt8>) throws(VICIError) {
        // Of an array this is the array itself, no copy.
        let bytes = Array(bytes)
        guard bytes.count <= VICILimits.maximumPacketBytes else { throw .packetTooLong(bytes: bytes.count) }
        var reader = VICIReader(bytes)
        let rawType = try reader.byte()
        guard let type = VICIPacketType(rawValue: rawType) else { throw .unknownPacketType(rawType) }
        switch type {
        case .commandRequest:
            let name = try reader.name()
            self = .commandRequest(name, try reader.message(hasSecrets: VICISecrets.mayBeIn(name)))
        case .commandResponse: self = .commandResponse(try reader.message())
        case .commandUnknown: self = .commandUnknown
        case .eventRegister: self = .eventRegister(try reader.name())
        case .eventUnregister: self = .eventUnregister(try reader.name())
        case .eventConfirm: self = .eventConfirm
        case .eventUnknown: self = .eventUnknown
        case .event: self = .event(try reader.name(), try reader.message())
        }
        guard reader.atEnd else { throw .trailingBytes(offset: reader.offset) }
    }

    /// The packet with its length in front, ready for the stream.
    package func encoded() throws(VICIError) -> [UInt8] {
        var writer = VICIWriter()
        switch self {
        case .commandRequest(let name, let message):
            try writer.begin(.commandRequest, name: name)
            try writer.append(message)
        case .commandResponse(let message):
            writer.begin(.commandResponse)
            try writer.append(message)
        case .commandUnknown: writer.begin(.commandUnknown)
        case .eventRegister(let name): try writer.begin(.eventRegister, name: name)
        case .eventUnregister(let name): try writer.begin(.eventUnregister, name: name)
        case .eventConfirm: writer.begin(.eventConfirm)
        case .eventUnknown: writer.begin(.eventUnknown)
        case .event(let name, let message):
            try writer.begin(.event, name: name)
            try writer.append(message)
        }
        return try writer.finish()
    }
}
