/// SK, the Encrypted payload (RFC 7296 section 3.14), or SKF, a fragment of one (RFC 7383 section 2.5): where its
/// parts are in the message. It is always the last payload.
///
///     | Next Payload  |C|  RESERVED   |         Payload Length        |
///     |        Fragment Number        |        Total Fragments        |     SKF only
///     |                     Initialization Vector                     |
///     ~            Encrypted IKE Payloads, Padding, Pad Length        ~
///     ~                    Integrity Checksum Data                    ~
public struct EncryptedPart: Hashable, Sendable {
    /// The type of the first payload inside. In SKF only the first fragment says it.
    public let firstPayload: PayloadType
    /// Nil for SK.
    public let fragment: FragmentPosition?
    /// Bytes of the message before the generic payload header.
    public let headerOffset: Int
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
