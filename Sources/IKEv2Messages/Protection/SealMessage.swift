/// Why a message cannot be sent.
public enum SealingFailure: Error, Hashable, Sendable {
    case encoding(EncodingFailure)
    case protection(ProtectionFailure)
    /// Not even one byte of content fits into a fragment of the size asked for, or they would be more than 65,535.
    case fragmentTooSmall
}

extension Message {
    /// The bytes of the message with its `encryptedPayloads` in an Encrypted payload (RFC 7296 section 3.14). With none
    /// of them that payload is empty, as in a liveness check.
    public func sealed(with cipher: some MessageCipher) throws(SealingFailure) -> [UInt8] {
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

    /// As one message with SK.
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
