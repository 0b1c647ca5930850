import CLibCrypto

/// An AEAD of the provider, called through its dispatch table: ChaCha20-Poly1305 (RFC 7634), and AES-GCM where GHASH
/// must not run outside the provider (FIPS).
struct AEADContext: OpenSSLContext {
    let header: ESPContextHeader
    let cipher: ProviderCipher
    let salt: UInt32
    let extended: Bool
    let icvLength: Int

    @inline(__always)
    func seal(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        packet.write(iv: operation.pointee.iv)
        var nonce = CTRBlock(salt: salt, packet: packet)
        var tag = tagParameters(packet)
        guard cipher.start(iv: &nonce, count: CTRBlock.nonceLength),
            authenticateSequence(packet),
            packet.payloadLength == 0 || cipher.process(packet.payload, count: packet.payloadLength),
            cipher.finish(),
            withUnsafeMutableBytes(of: &tag, { cipher.get($0.assumingMemoryBound(to: OSSL_PARAM.self).baseAddress) })
        else { return .failure }
        return .ok
    }

    @inline(__always)
    func open(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        var nonce = CTRBlock(salt: salt, packet: packet)
        var tag = tagParameters(packet)
        let started = withUnsafeBytes(of: &tag) { tag in
            let parameters = tag.assumingMemoryBound(to: OSSL_PARAM.self).baseAddress
            return cipher.start(iv: &nonce, count: CTRBlock.nonceLength, parameters: parameters)
        }
        guard started, authenticateSequence(packet),
            packet.payloadLength == 0 || cipher.process(packet.payload, count: packet.payloadLength)
        else { return packet.refuse(.failure) }
        guard cipher.finish() else { return packet.refuse(.integrityFailure) }
        return .ok
    }

    /// SPI and sequence number are the AAD (RFC 4106 section 5, RFC 7634 section 2.1).
    @inline(__always)
    private func authenticateSequence(_ packet: ESPPacket) -> Bool {
        guard extended else { return cipher.authenticate(packet.header, count: ESPPacket.headerLength) }
        var aad = packet.extendedAAD
        return cipher.authenticate(&aad, count: MemoryLayout.size(ofValue: aad))
    }

    /// The request "the tag, at the ICV's place", to read it when sealing and to set it when opening.
    @inline(__always)
    private func tagParameters(_ packet: ESPPacket) -> (OSSL_PARAM, OSSL_PARAM) {
        let name = UnsafeRawPointer(Self.tagName.utf8Start).assumingMemoryBound(to: CChar.self)
        let tag = OSSL_PARAM(
            key: name, data_type: UInt32(OSSL_PARAM_OCTET_STRING), data: packet.icv, data_size: icvLength,
            return_size: 0)
        return (tag, OSSL_PARAM())
    }

    /// OSSL_CIPHER_PARAM_AEAD_TAG with a fixed address.
    private static let tagName: StaticString = "tag"
}

extension AEADContext {
    /// A cipher for the AEAD that the provider calls `name`. `key` is encryption key and salt.
    static func makeCipher(
        _ transform: ESPTransform, name: String, key: UnsafeRawBufferPointer, direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let parts = KeyParts(key, transform: transform)
        let cipher = try ProviderCipher(name, key: parts.encryption, direction: direction)
        let process: ESPContextHeader.Process =
            switch direction {
            case .seal: { Self.run($0, $1, $2) { $0.seal($1) } }
            case .open: { Self.run($0, $1, $2) { $0.open($1) } }
            }
        let context = AEADContext(
            header: ESPContextHeader(process: process), cipher: cipher, salt: parts.salt, extended: extended,
            icvLength: transform.icvLength)
        return ESPCipher(owning: context, transform: transform, direction: direction) { cipher.release() }
    }
}
