/// A whole IKEv2 message in the clear.
public struct Message: Hashable, Sendable {
    public var header: IKEHeader
    /// The payloads outside the Encrypted payload: all of them in IKE_SA_INIT.
    public var payloads: [Payload]
    /// The content of the Encrypted payload, which is the last one; nil when there is none.
    public var encryptedPayloads: [Payload]?

    public init(header: IKEHeader, payloads: [Payload] = [], encryptedPayloads: [Payload]? = nil) {
        self.header = header
        self.payloads = payloads
        self.encryptedPayloads = encryptedPayloads
    }

    /// Outside and inside, in the order of the message.
    public var allPayloads: [Payload] { payloads + (encryptedPayloads ?? []) }

    /// The bytes of a message without an Encrypted payload. One that has `encryptedPayloads` is sealed instead.
    public func encoded() throws(EncodingFailure) -> [UInt8] {
        if let count = encryptedPayloads?.count {
            throw EncodingFailure(field: "number of payloads to encrypt", value: count, limit: 0)
        }
        var writer = ByteWriter()
        header.encode(into: &writer, firstPayload: payloads.first?.type ?? .none)
        try PayloadChain.encode(payloads, into: &writer)
        writer.patch(UInt32(truncatingIfNeeded: writer.count), at: IKEHeader.lengthOffset)
        return writer.bytes
    }
}
