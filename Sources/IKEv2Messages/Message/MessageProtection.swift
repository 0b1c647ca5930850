/// Encrypts and authenticates IKE messages for one direction of one IKE SA. Cryptography lives elsewhere; this module
/// says where in a message it applies.
///
/// A conforming type holds its keys, and everything that initialization vectors need to be unique (RFC 5282 section 3.1)
/// or unpredictable (RFC 7296 section 3.14).
package protocol MessageCipher {
    /// Bytes of the explicit initialization vector: 8 for GCM and ChaCha20-Poly1305, 16 for AES-CBC.
    var ivLength: Int { get }
    /// Bytes of the Integrity Checksum Data, which for combined modes is the tag.
    var icvLength: Int { get }
    /// The ciphertext is a multiple of so many bytes: 16 for AES-CBC, 1 for combined modes. At least 1.
    var blockLength: Int { get }

    /// Writes the initialization vector, encrypts in place, writes the checksum.
    func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure)

    /// Verifies the checksum, and only then leaves the plaintext in place. Throws `.integrity` when it is wrong.
    func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure)
}

/// Offsets into a whole message between which a cipher works.
package struct EncryptedLayout: Hashable, Sendable {
    /// The bytes that a combined mode authenticates without encrypting: from the IKE header to the last byte before the
    /// initialization vector, so with SKF including the fragment numbers (RFC 5282 section 5.1, RFC 7383 section 2.5).
    package let associatedData: Range<Int>
    package let initializationVector: Range<Int>
    /// Payloads, padding and pad length; in place.
    package let ciphertext: Range<Int>
    package let checksum: Range<Int>

    /// The bytes that a separate integrity algorithm covers: the whole message up to the checksum (RFC 7296 section
    /// 3.14).
    package var integrityInput: Range<Int> { 0..<checksum.lowerBound }

    /// Nil when so short a message cannot hold a vector, a pad length and a checksum.
    init?(messageLength: Int, bodyOffset: Int, cipher: some MessageCipher) {
        let start = bodyOffset + cipher.ivLength
        let end = messageLength - cipher.icvLength
        guard start < end else { return nil }
        associatedData = 0..<bodyOffset
        initializationVector = bodyOffset..<start
        ciphertext = start..<end
        checksum = end..<messageLength
    }
}

/// Reason why an Encrypted payload cannot be opened or sealed. A message that cannot be opened is dropped without an answer.
package enum ProtectionFailure: Error, Hashable, Sendable {
    /// The message has no Encrypted payload.
    case notEncrypted
    /// The payload has no room for a vector, a pad length and a checksum.
    case tooShort
    /// The ciphertext is not a multiple of the cipher's block.
    case incompleteBlock
    /// The checksum is wrong: forged, damaged, or other keys.
    case integrity
    /// The pad length is more than the ciphertext; the sender's error, as the checksum was right.
    case padding
    /// The cipher itself failed: no fault of the message.
    case cipher
}

/// Reason why a message cannot be sent.
package enum SealingFailure: Error, Hashable, Sendable {
    case encoding(EncodingFailure)
    case protection(ProtectionFailure)
    /// The fragments of the size asked for have no room for one byte of content, or they would be more than 65,535.
    case fragmentTooSmall
}

extension Message {
    /// The bytes of the message with its `encryptedPayloads` in an Encrypted payload (RFC 7296 section 3.14). With none
    /// of them that payload is empty, as in a liveness check.
    package func sealed(with cipher: some MessageCipher) throws(SealingFailure) -> [UInt8] {
        try UnsealedMessage(self).seal(with: cipher)
    }
}

/// A message whose content is encoded and waits for encryption.
struct UnsealedMessage {
    let header: IKEHeader
    /// The payloads before the Encrypted payload.
    let payloads: [Payload]
    let firstPayload: PayloadType
    /// The encoded payloads that are to be encrypted.
    let content: [UInt8]

    init(_ message: Message) throws(SealingFailure) {
        let inner = message.encryptedPayloads ?? []
        var writer = ByteWriter()
        do { try PayloadChain.encode(inner, into: &writer) } catch { throw .encoding(error) }
        header = message.header
        payloads = message.payloads
        firstPayload = inner.first?.type ?? .none
        content = writer.bytes
    }

    /// Seals the message as one with SK.
    func seal(with cipher: some MessageCipher) throws(SealingFailure) -> [UInt8] {
        try seal(content[...], payloads: payloads, fragment: nil, with: cipher)
    }

    /// `chunk` in SK, or in SKF when it is a fragment; behind `payloads`.
    func seal(
        _ chunk: ArraySlice<UInt8>, payloads: [Payload], fragment: FragmentPosition?, with cipher: some MessageCipher
    ) throws(SealingFailure) -> [UInt8] {
        var writer = ByteWriter()
        let bodyOffset: Int
        do {
            bodyOffset = try encode(chunk, payloads: payloads, fragment: fragment, cipher: cipher, into: &writer)
        } catch { throw .encoding(error) }
        var bytes = writer.bytes
        guard let layout = EncryptedLayout(messageLength: bytes.count, bodyOffset: bodyOffset, cipher: cipher)
        else { throw .protection(.tooShort) }
        do { try cipher.seal(&bytes, layout: layout) } catch { throw .protection(error) }
        return bytes
    }

    /// Writes everything but vector and checksum, which are left zero. Returns the offset of the vector.
    private func encode(
        _ chunk: ArraySlice<UInt8>, payloads: [Payload], fragment: FragmentPosition?, cipher: some MessageCipher,
        into writer: inout ByteWriter
    ) throws(EncodingFailure) -> Int {
        let type: PayloadType = fragment == nil ? .encrypted : .encryptedFragment
        header.encode(into: &writer, firstPayload: payloads.first?.type ?? type)
        try PayloadChain.encode(payloads, following: type, into: &writer)
        let start = writer.count
        // Fragments but the first do not say what is inside (RFC 7383 section 2.5).
        let isFirst = (fragment?.number ?? 1) == 1
        writer.append(isFirst ? firstPayload.rawValue : PayloadType.none.rawValue)
        writer.append(zeros: 3)
        fragment?.encode(into: &writer)
        let bodyOffset = writer.count

        let padLength = Self.padLength(after: chunk.count, block: cipher.blockLength)
        writer.append(zeros: cipher.ivLength)
        writer.append(Array(chunk))
        writer.append(zeros: padLength)
        try writer.append(count: padLength, of: "pad length")
        writer.append(zeros: cipher.icvLength)
        try writer.patchLength(since: start, at: start + 2, of: "length of payload \(type)")
        writer.patch(UInt32(truncatingIfNeeded: writer.count), at: IKEHeader.lengthOffset)
        return bodyOffset
    }

    /// The least padding that with the pad length fills whole blocks.
    private static func padLength(after count: Int, block: Int) -> Int {
        let excess = (count + 1) % block
        return excess == 0 ? 0 : block - excess
    }
}

/// Reason why a protected message was not opened: nobody may be told, or, as it was authentic, the peer may.
package enum OpeningFailure: Error, Hashable, Sendable {
    case protection(ProtectionFailure)
    case decoding(DecodingFailure)
}

extension ReceivedMessage {
    /// Opens an Encrypted payload that is not a fragment, and decodes what is inside.
    package func open(
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
    package func openContent(with cipher: some MessageCipher) throws(ProtectionFailure) -> [UInt8] {
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
    package init(
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
