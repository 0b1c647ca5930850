/// How much of a thing is taken from one message. Decoding is linear in the size of a message anyway; these bound what
/// later steps have to look through. Number fields of one byte (transforms, SPIs, selectors) bound themselves.
public struct DecodingLimits: Hashable, Sendable {
    /// Bytes of a datagram or of decrypted content.
    public var messageBytes = 65_535
    /// Payloads outside, and again inside, the Encrypted payload.
    public var payloads = 128
    /// Proposals of one SA payload.
    public var proposals = 64
    /// Transforms of one SA payload, all proposals together.
    public var transforms = 1024
    /// Attributes of one transform; only one is defined.
    public var transformAttributes = 8
    /// Attributes of one Configuration payload.
    public var configurationAttributes = 256

    public init() {}

    public static let standard = DecodingLimits()
}
