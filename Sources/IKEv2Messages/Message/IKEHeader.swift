/// The IKE header (RFC 7296 section 3.1) without what only the encoding needs: next payload and length.
///
///     |                   IKE SA Initiator's SPI (8)                  |
///     |                   IKE SA Responder's SPI (8)                  |
///     |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
///     |                          Message ID                           |
///     |                            Length                             |
package struct IKEHeader: Hashable, Sendable {
    package enum Direction: String, Hashable, Sendable, CaseIterable {
        case request, response
    }

    /// Bytes on the wire.
    package static let length = 28

    package var initiatorSPI: UInt64
    package var responderSPI: UInt64
    package var exchange: ExchangeType
    package var direction: Direction
    /// The I flag: the sender is the original initiator of the IKE SA, or of its last rekey.
    package var isFromInitiator: Bool
    package var messageID: UInt32

    package init(
        initiatorSPI: UInt64, responderSPI: UInt64, exchange: ExchangeType, direction: Direction,
        isFromInitiator: Bool, messageID: UInt32
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.exchange = exchange
        self.direction = direction
        self.isFromInitiator = isFromInitiator
        self.messageID = messageID
    }

    /// The header of the response to a request with this header (RFC 7296 section 2.21: everything is copied, the
    /// flags tell the way).
    package func response(responderSPI: UInt64? = nil) -> IKEHeader {
        var header = self
        header.direction = .response
        header.isFromInitiator.toggle()
        if let responderSPI { header.responderSPI = responderSPI }
        return header
    }
}

/// A header as it arrived, of whatever version: enough to find the IKE SA, and to refuse a version.
package struct ReceivedHeader: Hashable, Sendable {
    package let header: IKEHeader
    package let majorVersion: UInt8
    /// The length of the message by its header, header included.
    package let messageLength: UInt32
    let firstPayload: PayloadType

    /// Whether it begins a message of one way, which nobody answers: an unprotected notify in no exchange (RFC 7296
    /// section 1.5).
    package var isNotice: Bool {
        header.direction == .request && header.exchange == .informational && firstPayload == .notify
    }

    /// Reads the header only; the version and the length are not judged. Reserved flags, the minor version and the V
    /// flag are ignored (RFC 7296 section 3.1).
    package init(decoding bytes: [UInt8]) throws(DecodingFailure) {
        var reader = ByteReader(bytes, limits: .standard)
        try self.init(from: &reader)
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        try reader.require(IKEHeader.length)
        let initiatorSPI = try reader.uint64()
        let responderSPI = try reader.uint64()
        firstPayload = PayloadType(rawValue: try reader.uint8())
        majorVersion = try reader.uint8() >> 4
        let exchange = ExchangeType(rawValue: try reader.uint8())
        let flags = try reader.uint8()
        header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange,
            direction: flags & HeaderFlags.response != 0 ? .response : .request,
            isFromInitiator: flags & HeaderFlags.initiator != 0, messageID: try reader.uint32())
        messageLength = try reader.uint32()
    }
}

enum HeaderFlags {
    static let initiator: UInt8 = 0x08
    static let response: UInt8 = 0x20
}

extension IKEHeader {
    static let majorVersion: UInt8 = 2
    /// The offset at which the encoder patches the length in.
    static let lengthOffset = 24

    /// Writes the header with a length of zero.
    func encode(into writer: inout ByteWriter, firstPayload: PayloadType) {
        writer.append(initiatorSPI)
        writer.append(responderSPI)
        writer.append(firstPayload.rawValue)
        writer.append(Self.majorVersion << 4)
        writer.append(exchange.rawValue)
        writer.append(
            (isFromInitiator ? HeaderFlags.initiator : 0) | (direction == .response ? HeaderFlags.response : 0))
        writer.append(messageID)
        writer.append(UInt32(0))
    }
}
