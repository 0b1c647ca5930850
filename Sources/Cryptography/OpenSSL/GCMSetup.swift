import CLibCrypto

extension GCMContext {
    /// A cipher for AES-GCM or AES-GMAC. `key` is encryption key and salt.
    static func makeCipher(
        _ transform: ESPTransform, key: UnsafeRawBufferPointer, direction: CipherDirection, extended: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let parts = KeyParts(key, transform: transform)
        // Counter modes encrypt in both directions.
        let cipher = try ProviderCipher(
            "AES-\(parts.encryption.count * 8)-CTR", key: parts.encryption, direction: .seal)
        // Where the block cipher's callback finds its answer: first GHASH's key, zeros ever after.
        let answer = SecretMemory.allocate(byteCount: CTRBlock.length)
        let releaseParts = { @Sendable [answer = SendableAddress(answer)] in
            cipher.release()
            SecretMemory.deallocate(answer.pointer, byteCount: CTRBlock.length)
        }
        // AES-CTR over a zero block, with a zero counter, is the zero block encrypted: GHASH's key.
        var zero: (UInt64, UInt64) = (0, 0)
        guard cipher.start(iv: &zero, count: CTRBlock.length),
            cipher.process(answer, count: CTRBlock.length),
            let hash = makeHash(answer)
        else {
            releaseParts()
            throw libraryError("CRYPTO_gcm128_new")
        }
        answer.initializeMemory(as: UInt8.self, repeating: 0, count: CTRBlock.length)
        let context = GCMContext(
            header: ESPContextHeader(
                process: process(transform, direction), companions: (UnsafeRawPointer(hash), cipher.address)),
            counterCipher: cipher, hash: hash, salt: parts.salt, extended: extended, icvLength: transform.icvLength)
        let owned = SendableHandle(hash)
        return ESPCipher(owning: context, transform: transform, direction: direction) {
            CRYPTO_gcm128_release(owned.handle)
            releaseParts()
        }
    }

    private static func makeHash(_ answer: UnsafeMutableRawPointer) -> OpaquePointer? {
        CRYPTO_gcm128_new(answer) { _, output, key in
            guard let output, let key else { return }
            let answer = key.assumingMemoryBound(to: (UInt64, UInt64).self).pointee
            UnsafeMutableRawPointer(output).storeBytes(of: answer.0, as: UInt64.self)
            UnsafeMutableRawPointer(output).storeBytes(of: answer.1, toByteOffset: 8, as: UInt64.self)
        }
    }

    private static func process(_ transform: ESPTransform, _ direction: CipherDirection) -> ESPContextHeader.Process {
        let onlyAuthenticates = if case .aesGMAC = transform.encryption { true } else { false }
        return switch (onlyAuthenticates, direction) {
        case (false, .seal): { Self.run($0, $1, $2) { $0.seal($1) } }
        case (false, .open): { Self.run($0, $1, $2) { $0.open($1) } }
        case (true, .seal): { Self.run($0, $1, $2) { $0.sealGMAC($1) } }
        case (true, .open): { Self.run($0, $1, $2) { $0.openGMAC($1) } }
        }
    }
}
