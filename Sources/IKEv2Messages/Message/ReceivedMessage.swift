/// A message as it arrived: header and outer payloads decoded, the Encrypted payload still closed.
///
/// The way of a message: bytes → `ReceivedMessage` → (with an Encrypted payload: `open`, with a fragment: a
/// ``FragmentReassembler``) → ``Message`` → ``MessageRules`` → exchange.
public struct ReceivedMessage: Hashable, Sendable {
    /// The message, as it was received: what AUTH payloads cover (RFC 7296 section 2.15).
    public let bytes: [UInt8]
    public let header: IKEHeader
    /// The payloads before the Encrypted payload.
    public let payloads: [Payload]
    public let encrypted: EncryptedPart?

    /// Takes a datagram without its non-ESP marker. What fails here has not been authenticated, so that only an
    /// IKE_SA_INIT request may be answered at all.
    public init(decoding bytes: [UInt8], limits: DecodingLimits = .standard) throws(DecodingFailure) {
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
    public var plainMessage: Message? { encrypted == nil ? Message(header: header, payloads: payloads) : nil }
}
