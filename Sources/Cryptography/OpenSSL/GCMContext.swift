import CLibCrypto

/// AES-GCM (RFC 4106) and AES-GMAC (RFC 4543) from two halves that libcrypto exports: AES-CTR of the provider, called
/// directly, and the GHASH inside `CRYPTO_gcm128_*`.
///
/// 1. One AES-CTR call from counter block 1 over [16 zero bytes | payload] gives the tag's mask and the keystream at
///    once. The zero bytes stand in for ESP header and IV, which are put back afterwards.
/// 2. `CRYPTO_gcm128_*` hashes AAD and ciphertext. Its block cipher callback answers zeros and its stream callback does
///    nothing, so that the tag it gives is the bare GHASH, to be masked with step 1's first block.
///
/// To seal is step 1, then 2; to open is 2, then 1. Nothing here is written per packet, except inside libcrypto.
struct GCMContext: OpenSSLContext {
    let header: ESPContextHeader
    let counterCipher: ProviderCipher
    /// `GCM128_CONTEXT`
    let hash: OpaquePointer
    let salt: UInt32
    let extended: Bool
    let icvLength: Int

    private typealias Tag = (UInt64, UInt64)

    // MARK: AES-GCM

    @inline(__always)
    func seal(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        packet.write(iv: operation.pointee.iv)
        var mask: Tag = (0, 0)
        guard crypt(packet, mask: &mask) else { return .failure }
        var tag = hashOfCiphertext(packet)
        tag.0 ^= mask.0
        tag.1 ^= mask.1
        write(tag, to: packet.icv)
        return .ok
    }

    @inline(__always)
    func open(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        // Step 1 may run over the ICV.
        var expected = readTag(packet.icv)
        var tag = hashOfCiphertext(packet)
        var mask: Tag = (0, 0)
        let done = crypt(packet, mask: &mask)
        write(expected, to: packet.icv)
        guard done else { return packet.refuse(.failure) }
        tag.0 ^= mask.0
        tag.1 ^= mask.1
        guard CRYPTO_memcmp(&tag, &expected, icvLength) == 0 else { return packet.refuse(.integrityFailure) }
        return .ok
    }

    // MARK: AES-GMAC

    /// Writes IV and ICV; the payload stays as it is.
    @inline(__always)
    func sealGMAC(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        packet.write(iv: operation.pointee.iv)
        var tag: Tag = (0, 0)
        guard authenticate(packet, tag: &tag) else { return .failure }
        write(tag, to: packet.icv)
        return .ok
    }

    @inline(__always)
    func openGMAC(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        var tag: Tag = (0, 0)
        guard authenticate(packet, tag: &tag) else { return packet.refuse(.failure) }
        guard CRYPTO_memcmp(&tag, packet.icv, icvLength) == 0 else { return packet.refuse(.integrityFailure) }
        return .ok
    }

    // MARK: Halves

    /// En- or decrypts the payload, and gives the tag's mask: step 1 above.
    @inline(__always)
    private func crypt(_ packet: ESPPacket, mask: inout Tag) -> Bool {
        var block = CTRBlock(salt: salt, packet: packet)
        let header = packet.header.loadUnaligned(as: UInt64.self)
        let iv = packet.iv.loadUnaligned(as: UInt64.self)
        packet.header.storeBytes(of: 0, as: UInt64.self)
        packet.iv.storeBytes(of: 0, as: UInt64.self)
        let done =
            counterCipher.start(iv: &block, count: CTRBlock.length)
            && counterCipher.process(packet.header, count: wholeBlocks(packet))
        mask.0 = packet.header.loadUnaligned(as: UInt64.self)
        mask.1 = packet.iv.loadUnaligned(as: UInt64.self)
        packet.header.storeBytes(of: header, as: UInt64.self)
        packet.iv.storeBytes(of: iv, as: UInt64.self)
        return done
    }

    /// The number of bytes that step 1 encrypts: whole blocks if the last one ends within the ICV, because a part of a
    /// block costs twice a whole one. The ICV is written afterwards, or put back.
    @inline(__always)
    private func wholeBlocks(_ packet: ESPPacket) -> Int {
        let rest = (0 &- packet.lengthToICV) & 15
        return rest <= icvLength ? packet.lengthToICV &+ rest : packet.lengthToICV
    }

    /// GHASH over SPI, sequence number and ciphertext (RFC 4106 section 5).
    @inline(__always)
    private func hashOfCiphertext(_ packet: ESPPacket) -> Tag {
        startHash()
        hashSequence(packet)
        let payload = packet.payload.assumingMemoryBound(to: UInt8.self)
        _ = CRYPTO_gcm128_encrypt_ctr32(hash, payload, payload, packet.payloadLength) { _, _, _, _, _ in }
        return finishHash()
    }

    /// The GMAC tag: everything up to the ICV is AAD, the IV included, as Linux and strongSwan do it (figure 4 of
    /// RFC 4543; its section 7 contradicts the figure).
    @inline(__always)
    private func authenticate(_ packet: ESPPacket, tag: inout Tag) -> Bool {
        startHash()
        if extended {
            hashSequence(packet)
            let rest = packet.lengthToICV &- ESPPacket.headerLength
            _ = CRYPTO_gcm128_aad(hash, packet.iv.assumingMemoryBound(to: UInt8.self), rest)
        } else {
            _ = CRYPTO_gcm128_aad(hash, packet.header.assumingMemoryBound(to: UInt8.self), packet.lengthToICV)
        }
        tag = finishHash()
        var block = CTRBlock(salt: salt, packet: packet)
        var mask: Tag = (0, 0)
        let done =
            counterCipher.start(iv: &block, count: CTRBlock.length)
            && counterCipher.process(&mask, count: CTRBlock.length)
        tag.0 ^= mask.0
        tag.1 ^= mask.1
        return done
    }

    @inline(__always)
    private func startHash() {
        // Resets the hash; the value does not matter, since the block cipher answers zeros.
        var nonce: (UInt64, UInt32) = (0, 0)
        withUnsafeBytes(of: &nonce) { bytes in
            CRYPTO_gcm128_setiv(hash, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, CTRBlock.nonceLength)
        }
    }

    @inline(__always)
    private func hashSequence(_ packet: ESPPacket) {
        if extended {
            var aad = packet.extendedAAD
            withUnsafeBytes(of: &aad) { bytes in
                _ = CRYPTO_gcm128_aad(hash, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
            }
        } else {
            let header = packet.header.assumingMemoryBound(to: UInt8.self)
            _ = CRYPTO_gcm128_aad(hash, header, ESPPacket.headerLength)
        }
    }

    @inline(__always)
    private func finishHash() -> Tag {
        var tag: Tag = (0, 0)
        withUnsafeMutableBytes(of: &tag) { bytes in
            CRYPTO_gcm128_tag(hash, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
        }
        return tag
    }

    @inline(__always)
    private func readTag(_ icv: UnsafeMutableRawPointer) -> Tag {
        var tag: Tag = (icv.loadUnaligned(as: UInt64.self), 0)
        if icvLength == 16 {
            tag.1 = icv.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        } else if icvLength == 12 {
            tag.1 = UInt64(littleEndian: UInt64(icv.loadUnaligned(fromByteOffset: 8, as: UInt32.self).littleEndian))
        }
        return tag
    }

    @inline(__always)
    private func write(_ tag: Tag, to icv: UnsafeMutableRawPointer) {
        icv.storeBytes(of: tag.0, as: UInt64.self)
        if icvLength == 16 {
            icv.storeBytes(of: tag.1, toByteOffset: 8, as: UInt64.self)
        } else if icvLength == 12 {
            icv.storeBytes(of: UInt32(truncatingIfNeeded: tag.1.littleEndian), toByteOffset: 8, as: UInt32.self)
        }
    }
}
