/// A message as it arrived: header and outer payloads decoded, the Encrypted payload still closed.
///
/// The way of a message: bytes → `ReceivedMessage` → (with an Encrypted payload: `open`, with a fragment: a
/// ``FragmentReassembler``) → ``Message`` → ``MessageRules`` → exchange.
package struct ReceivedMessage: Hashable, Sendable {
    /// The message, as it was received: what AUTH payloads cover (RFC 7296 section 2.15).
    package let bytes: [UInt8]
    package let header: IKEHeader
    /// The payloads before the Encrypted payload.
    package let payloads: [Payload]
    package let encrypted: EncryptedPart?

    /// Takes a datagram without its non-ESP marker. What fails here has not been authenticated, so that only an
    /// IKE_SA_INIT request may be answered at all.
    package init(decoding bytes: [UInt8], limits: DecodingLimits = .standard) throws(DecodingFailure) {
        var reader = ByteReader(bytes, limits: limits)
        if bytes.count > limits.messageBytes {
            throw reader.failure(.tooMany(field: "bytes", limit: limits.messageBytes))
        }
        let received = try ReceivedHeader(from: &reader)
        if received.majorVersion != IKEHeader.majorVersion {
            throw reader.failure(.majorVersion(received.majorVersion), at: 17)
        }
        if received.messageLength != bytes.count {
            throw reader.failure(
                .messageLength(declared: Int(received.messageLength), actual: bytes.count),
                at: IKEHeader.lengthOffset)
        }
        let chain = try PayloadChain.decode(from: &reader, first: received.firstPayload)
        self.bytes = bytes
        header = received.header
        payloads = chain.payloads
        encrypted = chain.encrypted
    }

    /// The message when nothing of it is encrypted; nil otherwise.
    package var plainMessage: Message? { encrypted == nil ? Message(header: header, payloads: payloads) : nil }
}

/// SK, the Encrypted payload (RFC 7296 section 3.14), or SKF, a fragment of one (RFC 7383 section 2.5): where its
/// parts are in the message. It is always the last payload.
///
///     | Next Payload  |C|  RESERVED   |         Payload Length        |
///     |        Fragment Number        |        Total Fragments        |     SKF only
///     |                     Initialization Vector                     |
///     ~            Encrypted IKE Payloads, Padding, Pad Length        ~
///     ~                    Integrity Checksum Data                    ~
package struct EncryptedPart: Hashable, Sendable {
    /// The type of the first payload inside. In SKF only the first fragment says it.
    package let firstPayload: PayloadType
    /// Nil for SK.
    package let fragment: FragmentPosition?
    /// Bytes of the message before the generic payload header.
    package let headerOffset: Int
    /// Bytes of the message before the initialization vector.
    let bodyOffset: Int

    /// `reader` is behind the generic header.
    init(
        from reader: inout ByteReader, headerOffset: Int, firstPayload: PayloadType, isFragment: Bool
    ) throws(DecodingFailure) {
        self.headerOffset = headerOffset
        self.firstPayload = firstPayload
        fragment = isFragment ? try FragmentPosition(from: &reader) : nil
        bodyOffset = reader.position
    }
}

/// Position of a fragment in its message (RFC 7383 section 2.5).
package struct FragmentPosition: Hashable, Sendable, CustomStringConvertible {
    /// Bytes on the wire.
    static let length = 4

    /// The number of the fragment, from 1 on.
    package let number: UInt16
    /// At least `number`.
    package let total: UInt16

    /// Nil unless 1 ≤ number ≤ total.
    package init?(number: UInt16, total: UInt16) {
        guard number >= 1, number <= total else { return nil }
        self.number = number
        self.total = total
    }

    /// A position that cannot be must be silently discarded (RFC 7383 section 2.6).
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.uint16()
        if number == 0 { throw reader.failure(field: "fragment number", 0, size: 2) }
        total = try reader.uint16()
        if total < number { throw reader.failure(field: "total fragments", Int(total), size: 2) }
    }

    func encode(into writer: inout ByteWriter) {
        writer.append(number)
        writer.append(total)
    }

    package var description: String { "\(number)/\(total)" }
}
