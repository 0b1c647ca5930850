import Cryptography
import IKEv2Messages

/// Protects the messages of one side of an IKE SA.
public struct SessionCipher: MessageCipher, Sendable {
    private let cipher: IKECipher

    init(_ cipher: IKECipher) { self.cipher = cipher }

    public var ivLength: Int { cipher.suite.ivLength }
    public var icvLength: Int { cipher.suite.icvLength }
    public var blockLength: Int { cipher.suite.blockLength }

    public func seal(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        do {
            let body = try cipher.seal(
                Array(message[layout.ciphertext]), authenticating: Array(message[layout.associatedData]))
            message.replaceSubrange(layout.initializationVector.lowerBound..<layout.checksum.upperBound, with: body)
        } catch {
            throw .cipher
        }
    }

    public func open(_ message: inout [UInt8], layout: EncryptedLayout) throws(ProtectionFailure) {
        let body = layout.initializationVector.lowerBound..<layout.checksum.upperBound
        do {
            let plaintext = try cipher.open(
                Array(message[body]), authenticating: Array(message[layout.associatedData]))
            message.replaceSubrange(layout.ciphertext, with: plaintext)
        } catch {
            switch error {
            case .integrityFailure: throw .integrity
            case .malformed: throw .incompleteBlock
            default: throw .cipher
            }
        }
    }
}
