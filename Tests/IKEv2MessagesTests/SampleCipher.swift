@testable import IKEv2Messages

/// Not a cipher: it has the shape of one. It masks the ciphertext with bytes made from the vector, and its checksum
/// depends on every byte that is to be covered, so that any wrong range shows.
final class SampleCipher: MessageCipher {
    let ivLength: Int
    let icvLength: Int
    let blockLength: Int
    private var vectors: UInt8 = 0

    /// The shape of AES-GCM.
    static func combined() -> SampleCipher { SampleCipher(ivLength: 8, icvLength: 16, blockLength: 1) }
    /// The shape of AES-CBC with HMAC-SHA-256-128.
    static func block() -> SampleCipher { SampleCipher(ivLength: 16, icvLength: 16, blockLength: 16) }

    init(ivLength: Int, icvLength: Int, blockLength: Int) {
        self.ivLength = ivLength
        self.icvLength = icvLength
        self.blockLength = blockLength
    }

    func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        vectors &+= 1
        for (index, offset) in layout.initializationVector.enumerated() {
            message[offset] = vectors &+ UInt8(truncatingIfNeeded: index)
        }
        mask(&message, layout)
        for (offset, byte) in zip(layout.checksum, checksum(message, layout)) { message[offset] = byte }
    }

    func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        guard Array(message[layout.checksum]) == checksum(message, layout) else { throw .integrity }
        mask(&message, layout)
    }

    private func mask(_ message: inout [UInt8], _ layout: EncryptedLayout) {
        let start = message[layout.initializationVector.lowerBound]
        for (index, offset) in layout.ciphertext.enumerated() {
            message[offset] ^= start &* 31 &+ UInt8(truncatingIfNeeded: index &* 7 &+ 3)
        }
    }

    private func checksum(_ message: [UInt8], _ layout: EncryptedLayout) -> [UInt8] {
        precondition(layout.associatedData.upperBound == layout.initializationVector.lowerBound)
        var (first, second): (UInt64, UInt64) = (0xCBF2_9CE4_8422_2325, 7)
        for byte in message[layout.integrityInput] {
            first = (first ^ UInt64(byte)) &* 0x0100_0000_01B3
            second = second &* 131 &+ first
        }
        return (0..<layout.checksum.count).map { index in
            UInt8(truncatingIfNeeded: (index < 8 ? first : second) >> (UInt64(index % 8) * 8))
        }
    }
}
