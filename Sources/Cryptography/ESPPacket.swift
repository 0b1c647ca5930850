import CLibCrypto

/// An operation's packet as the ciphers see it: where its parts are, and how to write them. All unchecked: the caller of
/// `ESPBatch.run` vouches for the memory.
struct ESPPacket {
    static let headerLength = 8

    let header: UnsafeMutableRawPointer
    let ivLength: Int
    let payloadLength: Int
    let sequenceHigh: UInt32

    @inline(__always)
    init(_ operation: UnsafeMutablePointer<ESPOperation>, ivLength: Int) {
        header = operation.pointee.header
        self.ivLength = ivLength
        payloadLength = Int(operation.pointee.payloadLength)
        sequenceHigh = operation.pointee.sequenceHigh
    }

    var iv: UnsafeMutableRawPointer { header + Self.headerLength }
    var payload: UnsafeMutableRawPointer { iv + ivLength }
    var icv: UnsafeMutableRawPointer { payload + payloadLength }
    /// Header, IV and payload.
    var lengthToICV: Int { Self.headerLength &+ ivLength &+ payloadLength }

    /// The AAD with an extended sequence number: SPI, high and low 32 bits (RFC 4106 section 5).
    @inline(__always)
    var extendedAAD: (UInt32, UInt32, UInt32) {
        (
            header.loadUnaligned(as: UInt32.self), sequenceHigh.bigEndian,
            header.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        )
    }

    /// Writes a counter mode's explicit IV.
    @inline(__always)
    func write(iv value: UInt64) {
        iv.storeBytes(of: value.bigEndian, as: UInt64.self)
    }

    /// Zeroes the payload of a packet that must not be used, and says why.
    func refuse(_ status: ESPOperation.Status) -> ESPOperation.Status {
        payload.initializeMemory(as: UInt8.self, repeating: 0, count: payloadLength)
        return status
    }
}

/// Salt, explicit IV and block counter 1: the first counter block of AES-GCM's tag mask (RFC 4106 section 4) and of
/// AES-CTR (RFC 3686 section 4). Its first twelve bytes are the nonce of AES-GCM and ChaCha20-Poly1305.
struct CTRBlock: BitwiseCopyable {
    static let nonceLength = 12
    static let length = 16

    var salt: UInt32
    var ivFirst: UInt32
    var ivLast: UInt32
    var counter: UInt32

    /// Takes the explicit IV from behind the packet's header.
    @inline(__always)
    init(salt: UInt32, packet: ESPPacket) {
        self.salt = salt
        ivFirst = packet.iv.loadUnaligned(as: UInt32.self)
        ivLast = packet.iv.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        counter = UInt32(1).bigEndian
    }
}
