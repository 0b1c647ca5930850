import Cryptography
import Packets

/// Conversion of certificates, CRLs and keys from PEM or DER, the same for files and for the control socket.
package enum CredentialContent {
    package static func certificates(_ bytes: [UInt8]) throws(CredentialError) -> [Certificate] {
        do throws(CertificateError) {
            return try Certificate.read(bytes)
        } catch {
            throw CredentialError(error, remedy: "give a certificate in PEM or DER")
        }
    }

    /// The certificates of authorities: all of them may issue others.
    package static func authorities(_ bytes: [UInt8]) throws(CredentialError) -> [Certificate] {
        let certificates = try certificates(bytes)
        if let other = certificates.first(where: { !$0.isAuthority }) { throw CredentialError(notAuthority: other) }
        return certificates
    }

    package static func revocationLists(_ bytes: [UInt8]) throws(CredentialError) -> [RevocationList] {
        do throws(CertificateError) {
            return try RevocationList.read(bytes)
        } catch {
            throw CredentialError(error, remedy: "give a CRL in PEM or DER")
        }
    }

    package static func publicKey(_ bytes: [UInt8]) throws(CredentialError) -> PublicKey {
        do throws(SignatureError) {
            return try PublicKey(bytes)
        } catch {
            throw CredentialError(error, remedy: "give a public key in PEM or DER")
        }
    }

    /// A private key, read with the first passphrase that fits.
    package static func privateKey(
        _ content: SecretBytes, passphrases: [SecretBytes] = []
    ) throws(CredentialError) -> PrivateKey {
        for passphrase in passphrases.dropLast() {
            if let key = try? PrivateKey(content, passphrase: { passphrase }) { return key }
        }
        do throws(SignatureError) {
            return try PrivateKey(content) { passphrases.last }
        } catch {
            throw CredentialError(error, remedy: "give a private key in PEM or DER")
        }
    }
}

/// Reason why bytes are not the certificate, CRL or key that they should be. Never holds key material.
package struct CredentialError: OperatorError, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case unusable
        case notAuthority
        case passphraseNeeded
        case wrongPassphrase
    }

    package let kind: Kind
    package let problem: Problem

    fileprivate init(_ error: CertificateError, remedy: String) {
        kind = .unusable
        problem = Problem("\(error)", remedy: remedy)
    }

    fileprivate init(notAuthority certificate: Certificate) {
        kind = .notAuthority
        problem = Problem(
            "\"\(certificate)\" may not issue other certificates (basicConstraints)", remedy: "load it with flag NONE")
    }

    fileprivate init(_ error: SignatureError, remedy: String) {
        switch error {
        case .passphraseNeeded:
            kind = .passphraseNeeded
            problem = Problem(
                "this private key is encrypted, and its passphrase is missing",
                remedy: "give the passphrase in the section secrets of the file, or load the key decrypted")
        case .wrongPassphrase:
            kind = .wrongPassphrase
            problem = Problem("the passphrase of this private key does not fit", remedy: "correct it")
        default:
            kind = .unusable
            problem = Problem("\(error)", remedy: remedy)
        }
    }
}
