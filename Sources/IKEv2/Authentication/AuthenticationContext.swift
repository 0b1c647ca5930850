import Cryptography
import IKEv2Messages

/// Everything that a proof and its verification depend on besides the octets.
package struct AuthenticationContext: Sendable {
    package var connection: Connection
    package var credentials: Credentials
    package var path: Path
    /// The peer's SIGNATURE_HASH_ALGORITHMS; nil when it sent none, and so does not know RFC 7427.
    package var peerHashes: [SignatureHash]?
    /// Seconds since 1970.
    package var wallClock: Int64
    /// The proof of the peer; nil when we speak first. We answer with the same key, and as it can verify.
    var verifiedPeer: VerifiedPeer?

    package init(
        connection: Connection, credentials: Credentials, path: Path, peerHashes: [SignatureHash]?, wallClock: Int64
    ) {
        self.connection = connection
        self.credentials = credentials
        self.path = path
        self.peerHashes = peerHashes
        self.wallClock = wallClock
    }

    /// The setting in swanctl.conf, for remedies.
    func line(_ key: String) -> String { "connections.\(connection.name).\(key)" }

    /// Whether the peer signs and verifies by RFC 7427 with one of our hashes.
    var peerKnowsDigitalSignatures: Bool { peerHashes?.contains { SignatureHash.offered.contains($0) } ?? false }
}

extension NotifyPayload {
    /// SIGNATURE_HASH_ALGORITHMS, what of it is known here; nil when this is another notify.
    package var signatureHashes: [SignatureHash]? {
        signatureHashAlgorithms?.compactMap { SignatureHash(rawValue: $0.rawValue) }
    }

    /// Ours (RFC 7427 section 4).
    package static var offeredSignatureHashes: NotifyPayload {
        .signatureHashAlgorithms(SignatureHash.offered.map { HashAlgorithm(rawValue: $0.rawValue) })
    }
}

/// A peer that has proved who it is.
package struct VerifiedPeer: Sendable {
    package var identity: Identity
    /// "shared key", "RSA-PSS with sha256": for the log.
    package var method: String
    package var certificate: Certificate?
    /// The scheme by which it has signed; nil: by a shared key.
    var scheme: SignatureScheme?
    /// The one of several keys that it has.
    var sharedKey: Credentials.SharedKey?
}

/// Octets that one side's AUTH payload covers (RFC 7296 section 2.15).
package struct SignedOctets: Sendable {
    /// The first message of the side that proves itself: its IKE_SA_INIT, without a non-ESP marker.
    package var message: [UInt8]
    /// The nonce of the other side.
    package var peerNonce: [UInt8]
    /// IDi or IDr of the side that proves itself.
    package var identity: IdentificationPayload
    /// SK_pi or SK_pr of the side that proves itself.
    package var key: SecretBytes
    package var function: PRF

    package init(
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
