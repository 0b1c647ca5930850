import CLibCrypto

/// AES-CBC (RFC 3602), AES-CTR (RFC 3686) or no encryption (RFC 2410), with HMAC over the result: encrypt, then MAC; to
/// open, verify first.
struct MACContext: OpenSSLContext {
    let header: ESPContextHeader
    let hmac: HMACState
    /// The cipher's context; nil for NULL encryption.
    let cipher: ProviderCipher?
    let salt: UInt32
    let extended: Bool
    /// The block that the first CBC block of every packet is chained to, drawn at random for this context.
    let chain: (UInt64, UInt64)
    /// Packets sealed with CBC so far.
    var sealed: UInt64 = 0

    private static let blockLength = 16

    // MARK: AES-CBC

    /// The IV is a counter block, encrypted as if it were the payload's first block and chained to a secret random value:
    /// unique and unpredictable without asking the random generator per packet (NIST SP 800-38A, appendix C).
    @inline(__always)
    mutating func sealCBC(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: Self.blockLength)
        guard packet.payloadLength & (Self.blockLength - 1) == 0, let cipher else { return .failure }
        sealed &+= 1
        packet.iv.storeBytes(of: sealed, as: UInt64.self)
        packet.iv.storeBytes(of: 0, toByteOffset: 8, as: UInt64.self)
        var chain = chain
        guard cipher.start(iv: &chain, count: Self.blockLength),
            cipher.process(packet.iv, count: Self.blockLength &+ packet.payloadLength)
        else { return .failure }
        hmac.sign(packet, extended: extended)
        return .ok
    }

    @inline(__always)
    func openCBC(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: Self.blockLength)
        guard packet.payloadLength & (Self.blockLength - 1) == 0, hmac.verify(packet, extended: extended) else {
            return packet.refuse(.integrityFailure)
        }
        guard packet.payloadLength > 0 else { return .ok }
        guard let cipher, cipher.start(iv: packet.iv, count: Self.blockLength),
            cipher.process(packet.payload, count: packet.payloadLength)
        else { return packet.refuse(.failure) }
        return .ok
    }

    // MARK: AES-CTR

    @inline(__always)
    func sealCTR(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        packet.write(iv: operation.pointee.iv)
        guard count(packet) else { return .failure }
        hmac.sign(packet, extended: extended)
        return .ok
    }

    @inline(__always)
    func openCTR(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        guard hmac.verify(packet, extended: extended) else { return packet.refuse(.integrityFailure) }
        guard count(packet) else { return packet.refuse(.failure) }
        return .ok
    }

    /// En- or decrypts; the counter starts at 1 (RFC 3686 section 2.1).
    @inline(__always)
    private func count(_ packet: ESPPacket) -> Bool {
        guard packet.payloadLength > 0 else { return true }
        var block = CTRBlock(salt: salt, packet: packet)
        guard let cipher, cipher.start(iv: &block, count: CTRBlock.length) else { return false }
        return cipher.process(packet.payload, count: packet.payloadLength)
    }

    // MARK: NULL

    @inline(__always)
    func sealNull(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        hmac.sign(ESPPacket(operation, ivLength: 0), extended: extended)
        return .ok
    }

    @inline(__always)
    func openNull(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 0)
        guard hmac.verify(packet, extended: extended) else { return packet.refuse(.integrityFailure) }
        return .ok
    }
}

extension MACContext {
    /// A cipher for `transform`, whose integrity algorithm is `integrity`. `key` is encryption key, salt, integrity key.
    static func makeCipher(
        _ transform: ESPTransform, integrity: ESPTransform.Integrity, key: UnsafeRawBufferPointer,
        direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let parts = KeyParts(key, transform: transform)
        var chain: (UInt64, UInt64) = (0, 0)
        let status = withUnsafeMutableBytes(of: &chain) { RAND_priv_bytes_ex(nil, $0.baseAddress, $0.count, 0) }
        guard status == 1 else { throw libraryError("RAND_priv_bytes_ex") }
        let cipher = try makeProviderCipher(transform, key: parts.encryption, direction: direction)
        let hmac = HMACState(integrity, key: parts.integrity)
        let context = MACContext(
            header: ESPContextHeader(process: process(transform, direction)), hmac: hmac, cipher: cipher,
            salt: parts.salt, extended: extended, chain: chain)
        return ESPCipher(owning: context, transform: transform, direction: direction) {
            cipher?.release()
            hmac.release()
        }
    }

    private static func makeProviderCipher(
        _ transform: ESPTransform, key: UnsafeRawBufferPointer, direction: CipherDirection
    ) throws(CryptographyError) -> ProviderCipher? {
        switch transform.encryption {
        case .aesCBC(let keyBits): try ProviderCipher("AES-\(keyBits)-CBC", key: key, direction: direction)
        // Counter modes encrypt in both directions.
        case .aesCTR(let keyBits): try ProviderCipher("AES-\(keyBits)-CTR", key: key, direction: .seal)
        default: nil
        }
    }

    private static func process(_ transform: ESPTransform, _ direction: CipherDirection) -> ESPContextHeader.Process {
        switch (transform.encryption, direction) {
        case (.aesCBC, .seal): { Self.run($0, $1, $2) { $0.sealCBC($1) } }
        case (.aesCBC, .open): { Self.run($0, $1, $2) { $0.openCBC($1) } }
        case (.aesCTR, .seal): { Self.run($0, $1, $2) { $0.sealCTR($1) } }
        case (.aesCTR, .open): { Self.run($0, $1, $2) { $0.openCTR($1) } }
        case (_, .seal): { Self.run($0, $1, $2) { $0.sealNull($1) } }
        case (_, .open): { Self.run($0, $1, $2) { $0.openNull($1) } }
        }
    }
}
