import CLibCrypto

/// HMAC (RFC 2104) as RFC 4868 uses it, with the two key blocks hashed once: per packet the keyed states are copied and
/// continued. Directly on libcrypto's SHA states, because `EVP_MAC` and `EVP_MD_CTX` allocate when they copy.
///
/// A plain value over memory that `release` ends; one thread at a time.
struct HMACState: BitwiseCopyable, @unchecked Sendable {
    private let algorithm: ESPTransform.Integrity
    /// Three states (keyed inner, keyed outer, the one at work), then a digest.
    private let states: UnsafeMutableRawPointer
    let icvLength: Int

    /// Long enough for each hash's state, and a multiple of a cache line.
    private static let stateSize = 256
    private static let byteCount = 3 * stateSize + 64

    init(_ algorithm: ESPTransform.Integrity, key: UnsafeRawBufferPointer) {
        self.algorithm = algorithm
        icvLength = algorithm.icvLength
        states = SecretMemory.allocate(byteCount: Self.byteCount)
        for (state, pad) in [(states, UInt8(0x36)), (states + Self.stateSize, UInt8(0x5c))] {
            var block = [UInt8](repeating: pad, count: algorithm.blockLength)
            for index in key.indices { block[index] ^= key[index] }
            begin(state)
            update(state, block, count: block.count)
            block.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        }
    }

    func release() {
        SecretMemory.deallocate(states, byteCount: Self.byteCount)
    }

    // MARK: Per packet

    /// Writes the ICV.
    @inline(__always)
    func sign(_ packet: ESPPacket, extended: Bool) {
        packet.icv.copyMemory(from: authenticate(packet, extended: extended), byteCount: icvLength)
    }

    /// Compares the ICV in constant time.
    @inline(__always)
    func verify(_ packet: ESPPacket, extended: Bool) -> Bool {
        CRYPTO_memcmp(authenticate(packet, extended: extended), packet.icv, icvLength) == 0
    }

    /// The HMAC over header, IV and payload, then the sequence number's high bits if it is extended (RFC 4303 section
    /// 2.2.1). Valid until the next packet.
    @inline(__always)
    private func authenticate(_ packet: ESPPacket, extended: Bool) -> UnsafeMutableRawPointer {
        let work = states + 2 * Self.stateSize
        let digest = states + 3 * Self.stateSize
        work.copyMemory(from: states, byteCount: algorithm.stateLength)
        update(work, packet.header, count: packet.lengthToICV)
        if extended {
            var high = packet.sequenceHigh.bigEndian
            update(work, &high, count: 4)
        }
        finish(work, digest)
        work.copyMemory(from: states + Self.stateSize, byteCount: algorithm.stateLength)
        update(work, digest, count: algorithm.digestLength)
        finish(work, digest)
        return digest
    }

    private func begin(_ state: UnsafeMutableRawPointer) {
        switch algorithm {
        case .hmacSHA1_96: SHA1_Init(state.assumingMemoryBound(to: SHA_CTX.self))
        case .hmacSHA256_128, .hmacSHA256_96: SHA256_Init(state.assumingMemoryBound(to: SHA256_CTX.self))
        case .hmacSHA384_192: SHA384_Init(state.assumingMemoryBound(to: SHA512_CTX.self))
        case .hmacSHA512_256: SHA512_Init(state.assumingMemoryBound(to: SHA512_CTX.self))
        }
    }

    @inline(__always)
    private func update(_ state: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, count: Int) {
        switch algorithm {
        case .hmacSHA1_96: SHA1_Update(state.assumingMemoryBound(to: SHA_CTX.self), bytes, count)
        case .hmacSHA256_128, .hmacSHA256_96:
            SHA256_Update(state.assumingMemoryBound(to: SHA256_CTX.self), bytes, count)
        case .hmacSHA384_192: SHA384_Update(state.assumingMemoryBound(to: SHA512_CTX.self), bytes, count)
        case .hmacSHA512_256: SHA512_Update(state.assumingMemoryBound(to: SHA512_CTX.self), bytes, count)
        }
    }

    @inline(__always)
    private func finish(_ state: UnsafeMutableRawPointer, _ digest: UnsafeMutableRawPointer) {
        let digest = digest.assumingMemoryBound(to: UInt8.self)
        switch algorithm {
        case .hmacSHA1_96: SHA1_Final(digest, state.assumingMemoryBound(to: SHA_CTX.self))
        case .hmacSHA256_128, .hmacSHA256_96: SHA256_Final(digest, state.assumingMemoryBound(to: SHA256_CTX.self))
        case .hmacSHA384_192: SHA384_Final(digest, state.assumingMemoryBound(to: SHA512_CTX.self))
        case .hmacSHA512_256: SHA512_Final(digest, state.assumingMemoryBound(to: SHA512_CTX.self))
        }
    }
}

extension ESPTransform.Integrity {
    /// The hash's block length in bytes.
    fileprivate var blockLength: Int {
        switch self {
        case .hmacSHA1_96, .hmacSHA256_128, .hmacSHA256_96: 64
        case .hmacSHA384_192, .hmacSHA512_256: 128
        }
    }

    /// The hash's output in bytes, which is also the key's length (RFC 4868 section 2.1.1).
    fileprivate var digestLength: Int { keyLength }

    /// Bytes of libcrypto's state.
    fileprivate var stateLength: Int {
        switch self {
        case .hmacSHA1_96: MemoryLayout<SHA_CTX>.size
        case .hmacSHA256_128, .hmacSHA256_96: MemoryLayout<SHA256_CTX>.size
        case .hmacSHA384_192, .hmacSHA512_256: MemoryLayout<SHA512_CTX>.size
        }
    }
}
