import CLibCrypto

/// ChaCha20-Poly1305 (RFC 7634, RFC 8439) from the provider's ChaCha20 and Poly1305, each called directly.
///
/// libcrypto's ChaCha20 makes eight blocks in the time of two, but its AEAD asks for the Poly1305 key's block, for whole
/// blocks and for the last part of one separately. So the keystream is made eight blocks at a time, from block 0, whose
/// first half is the Poly1305 key; the payload is XORed here.
struct ChaChaContext: OpenSSLContext {
    let header: ESPContextHeader
    let cipher: ProviderCipher
    let mac: ProviderMAC
    let salt: UInt32
    let extended: Bool
    /// `chunkLength` bytes of keystream, then as many zeros to make it from.
    let keystream: UnsafeMutableRawPointer

    static let chunkLength = 512
    private static let blockLength = 64
    private static let tagLength = 16

    @inline(__always)
    func seal(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        packet.write(iv: operation.pointee.iv)
        guard start(packet), startMAC(packet), crypt(packet) else { return .failure }
        return finishMAC(packet, packet.icv) ? .ok : .failure
    }

    @inline(__always)
    func open(_ operation: UnsafeMutablePointer<ESPOperation>) -> ESPOperation.Status {
        let packet = ESPPacket(operation, ivLength: 8)
        var tag: (UInt64, UInt64) = (0, 0)
        guard start(packet), startMAC(packet), finishMAC(packet, &tag) else { return packet.refuse(.failure) }
        guard CRYPTO_memcmp(&tag, packet.icv, Self.tagLength) == 0 else { return packet.refuse(.integrityFailure) }
        return crypt(packet) ? .ok : packet.refuse(.failure)
    }

    /// Makes the first chunk of keystream: the Poly1305 key's block, then the payload's first blocks.
    @inline(__always)
    private func start(_ packet: ESPPacket) -> Bool {
        // Block counter (little-endian, 0) and nonce (RFC 8439 section 2.3).
        let nonce = CTRBlock(salt: salt, packet: packet)
        var block = (UInt32(0), nonce.salt, nonce.ivFirst, nonce.ivLast)
        guard cipher.start(iv: &block, count: CTRBlock.length) else { return false }
        return nextChunk(for: Self.blockLength &+ packet.payloadLength)
    }

    /// Makes as much keystream as `count` bytes need, one chunk at most.
    @inline(__always)
    private func nextChunk(for count: Int) -> Bool {
        let whole = (count &+ Self.blockLength &- 1) & (0 &- Self.blockLength)
        let zeros = keystream + Self.chunkLength
        return cipher.process(keystream, from: zeros, count: min(whole, Self.chunkLength))
    }

    /// XORs the payload with the keystream, whose first chunk is there already.
    @inline(__always)
    private func crypt(_ packet: ESPPacket) -> Bool {
        let first = min(packet.payloadLength, Self.chunkLength &- Self.blockLength)
        combine(packet.payload, keystream + Self.blockLength, count: first)
        var done = first
        while done < packet.payloadLength {
            let rest = packet.payloadLength &- done
            guard nextChunk(for: rest) else { return false }
            let count = min(rest, Self.chunkLength)
            combine(packet.payload + done, keystream, count: count)
            done &+= count
        }
        return true
    }

    @inline(__always)
    private func combine(_ bytes: UnsafeMutableRawPointer, _ stream: UnsafeRawPointer, count: Int) {
        var offset = 0
        while offset &+ 16 <= count {
            let mixed =
                bytes.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
                ^ stream.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
            bytes.storeBytes(of: mixed, toByteOffset: offset, as: SIMD2<UInt64>.self)
            offset &+= 16
        }
        while offset < count {
            let mixed =
                bytes.load(fromByteOffset: offset, as: UInt8.self) ^ stream.load(fromByteOffset: offset, as: UInt8.self)
            bytes.storeBytes(of: mixed, toByteOffset: offset, as: UInt8.self)
            offset &+= 1
        }
    }

    /// Poly1305 under the keystream's first half block, over the AAD padded to 16 bytes (RFC 8439 section 2.8).
    @inline(__always)
    private func startMAC(_ packet: ESPPacket) -> Bool {
        var aad: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        if extended {
            (aad.0, aad.1, aad.2) = packet.extendedAAD
        } else {
            aad.0 = packet.header.loadUnaligned(as: UInt32.self)
            aad.1 = packet.header.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        }
        return mac.start(key: keystream, count: 32) && mac.update(&aad, count: 16)
    }

    /// Takes in the ciphertext, its padding and both lengths, and writes the tag.
    @inline(__always)
    private func finishMAC(_ packet: ESPPacket, _ tag: UnsafeMutableRawPointer) -> Bool {
        let aadLength: UInt64 = extended ? 12 : 8
        var end = (UInt64(0), UInt64(0), aadLength.littleEndian, UInt64(packet.payloadLength).littleEndian)
        let padding = (0 &- packet.payloadLength) & 15
        return mac.update(packet.payload, count: packet.payloadLength)
            && withUnsafeBytes(of: &end) { end in
                guard let base = end.baseAddress else { return false }
                return mac.update(base + (16 &- padding), count: padding &+ 16)
            }
            && mac.finish(tag, count: Self.tagLength)
    }
}

extension ChaChaContext {
    /// A cipher for ChaCha20-Poly1305. `key` is encryption key and salt.
    static func makeCipher(
        _ transform: ESPTransform, key: UnsafeRawBufferPointer, direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let parts = KeyParts(key, transform: transform)
        let mac = try ProviderMAC("POLY1305")
        let cipher: ProviderCipher
        do {
            // A stream cipher encrypts in both directions.
            cipher = try ProviderCipher("ChaCha20", key: parts.encryption, direction: .seal)
        } catch {
            mac.release()
            throw error
        }
        let process: ESPContextHeader.Process =
            switch direction {
            case .seal: { Self.run($0, $1, $2) { $0.seal($1) } }
            case .open: { Self.run($0, $1, $2) { $0.open($1) } }
            }
        let keystream = SecretMemory.allocate(byteCount: 2 * chunkLength)
        let context = ChaChaContext(
            header: ESPContextHeader(process: process), cipher: cipher, mac: mac, salt: parts.salt, extended: extended,
            keystream: keystream)
        return ESPCipher(owning: context, transform: transform, direction: direction) {
            [keystream = SendableAddress(keystream)] in
            cipher.release()
            mac.release()
            SecretMemory.deallocate(keystream.pointer, byteCount: 2 * chunkLength)
        }
    }
}
