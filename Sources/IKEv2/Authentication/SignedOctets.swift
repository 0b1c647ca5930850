import Cryptography
import IKEv2Messages

/// What one side's AUTH payload covers (RFC 7296 section 2.15).
public struct SignedOctets: Sendable {
    /// The first message of the side that proves itself: its IKE_SA_INIT, without a non-ESP marker.
    public var message: [UInt8]
    /// The nonce of the other side.
    public var peerNonce: [UInt8]
    /// IDi or IDr of the side that proves itself.
    public var identity: IdentificationPayload
    /// SK_pi or SK_pr of the side that proves itself.
    public var key: SecretBytes
    public var function: PRF

    public init(
        message: [UInt8], peerNonce: [UInt8], identity: IdentificationPayload, key: SecretBytes, function: PRF
    ) {
        self.message = message
        self.peerNonce = peerNonce
        self.identity = identity
        self.key = key
        self.function = function
    }

    /// message | nonce | prf(SK_p, identity).
    func bytes() throws(CryptographyError) -> [UInt8] {
        let proof = try function.compute(key: key, .bytes(identity.authenticatedBytes))
        return message + peerNonce + proof.withUnsafeBytes { Array($0) }
    }

    private static let keyPad = Array("Key Pad for IKEv2".utf8)

    /// prf(prf(shared key, "Key Pad for IKEv2"), octets).
    func authentication(sharedKey: SecretBytes) throws(CryptographyError) -> SecretBytes {
        let key = try function.compute(key: sharedKey, .bytes(Self.keyPad))
        return try function.compute(key: key, .bytes(try bytes()))
    }
}
