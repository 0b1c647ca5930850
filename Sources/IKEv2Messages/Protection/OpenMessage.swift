/// Why a protected message was not opened: nobody may be told, or, as it was authentic, the peer may.
public enum OpeningFailure: Error, Hashable, Sendable {
    case protection(ProtectionFailure)
    case decoding(DecodingFailure)
}

extension ReceivedMessage {
    /// Opens an Encrypted payload that is not a fragment, and decodes what is inside.
    public func open(
        with cipher: some MessageCipher, limits: DecodingLimits = .standard
    ) throws(OpeningFailure) -> Message {
        guard let encrypted, encrypted.fragment == nil else { throw .protection(.notEncrypted) }
        let content: [UInt8]
        do { content = try openContent(with: cipher) } catch { throw .protection(error) }
        do {
            return try Message(
                header: header, payloads: payloads, firstEncrypted: encrypted.firstPayload, content: content,
                limits: limits)
        } catch { throw .decoding(error) }
    }

    /// The decrypted content of the Encrypted payload or fragment, without padding.
    public func openContent(with cipher: some MessageCipher) throws(ProtectionFailure) -> [UInt8] {
        guard let encrypted else { throw .notEncrypted }
        guard
            let layout = EncryptedLayout(
                messageLength: bytes.count, bodyOffset: encrypted.bodyOffset, cipher: cipher)
        else { throw .tooShort }
        guard layout.ciphertext.count.isMultiple(of: cipher.blockLength) else { throw .incompleteBlock }
        var opened = bytes
        try cipher.open(&opened, layout: layout)

        // The layout is never empty: the last byte is the pad length. Padding may hold anything.
        let padLength = Int(opened[layout.ciphertext.upperBound - 1])
        let contentLength = layout.ciphertext.count - 1 - padLength
        guard contentLength >= 0 else { throw .padding }
        return Array(opened[layout.ciphertext.prefix(contentLength)])
    }
}

extension Message {
    /// A message from the decrypted content of its Encrypted payload, whole or put together again, whose first payload
    /// is of type `firstEncrypted`.
    public init(
        header: IKEHeader, payloads: [Payload], firstEncrypted: PayloadType, content: [UInt8],
        limits: DecodingLimits = .standard
    ) throws(DecodingFailure) {
        var reader = ByteReader(content, limits: limits, isInsideEncrypted: true)
        if content.count > limits.messageBytes {
            throw reader.failure(.tooMany(field: "bytes", limit: limits.messageBytes))
        }
        let chain = try PayloadChain.decode(from: &reader, first: firstEncrypted)
        self.init(header: header, payloads: payloads, encryptedPayloads: chain.payloads)
    }
}
