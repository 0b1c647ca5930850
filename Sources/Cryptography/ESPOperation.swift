/// One packet for the engine; owns nothing. Everything about the packet follows from its ESP header's address: SPI and
/// sequence number (8 bytes), IV, payload with padding and trailer, ICV, all contiguous (RFC 4303 section 2).
@frozen public struct ESPOperation: BitwiseCopyable {
    /// The outcome for the packet; written by the engine.
    @frozen public enum Status: UInt8, Sendable, BitwiseCopyable {
        /// Sealed, or opened with a correct ICV.
        case ok
        /// The ICV is wrong, or no packet of this transform can look like that. Nothing of the payload is usable.
        case integrityFailure
        /// The engine failed, or the caller's length does not fit the transform. Nothing of the packet is usable.
        case failure
    }

    /// An `ESPCipher`'s context: it says which key, and whether to seal or to open.
    public var context: UnsafeMutableRawPointer
    /// The ESP header. To seal, the caller has written SPI and sequence number and the plain payload, and there is
    /// room for the ICV behind it.
    public var header: UnsafeMutableRawPointer
    /// The explicit IV for sealing with a counter mode, which the engine writes behind the header in network order. It
    /// must never repeat under one key. Unused otherwise (the engine makes CBC's unpredictable IV by itself).
    public var iv: UInt64
    /// Bytes between IV and ICV.
    public var payloadLength: UInt32
    /// The sequence number's high 32 bits, authenticated when the cipher was made for extended sequence numbers.
    public var sequenceHigh: UInt32
    public var status: Status

    @inlinable public init(
        context: UnsafeMutableRawPointer, header: UnsafeMutableRawPointer, iv: UInt64 = 0, payloadLength: UInt32,
        sequenceHigh: UInt32 = 0
    ) {
        self.context = context
        self.header = header
        self.iv = iv
        self.payloadLength = payloadLength
        self.sequenceHigh = sequenceHigh
        status = .failure
    }
}
