import Cryptography
import IKEv2

/// The certificates that `list-certs` is about, and their listing.
struct CertificateFilter {
    /// "X509", "X509_CRL", "PUBKEY" or "ANY".
    private let type: String
    /// "NONE", "CA" or "ANY".
    private let flag: String
    private let subject: String?

    init(_ request: VICIMessage) {
        type = request["type"]?.uppercased() ?? "ANY"
        flag = request["flag"]?.uppercased() ?? "ANY"
        subject = request["subject"]
    }

    /// Every certificate that is loaded, wherever it came from, each once, and CRLs and raw keys.
    func messages(_ store: CredentialStore, connections: [Connection]) -> [VICIMessage] {
        let credentials = store.merged
        var listed = Set<Certificate>()
        var messages: [VICIMessage] = []
        func list(_ certificates: [Certificate], _ flag: String) {
            for certificate in certificates where wants("X509", flag, certificate.subject) {
                guard listed.insert(certificate).inserted else { continue }
                let hasKey = store.hasPrivateKey(for: certificate)
                messages.append(Self.message("X509", flag, hasPrivateKey: hasKey, certificate.der))
            }
        }
        list(credentials.authorities + connections.flatMap(\.remote.authorities), "CA")
        list(
            credentials.certificates + connections.flatMap { $0.local.certificates + $0.remote.certificates }, "NONE")
        for revocations in credentials.revocationLists where wants("X509_CRL", "NONE", revocations.issuer) {
            messages.append(Self.message("X509_CRL", "NONE", hasPrivateKey: false, revocations.der))
        }
        for key in Set(connections.flatMap { $0.local.publicKeys + $0.remote.publicKeys })
        where wants("PUBKEY", "NONE", nil) {
            messages.append(Self.message("PUBKEY", "NONE", hasPrivateKey: false, key.subjectPublicKeyInfo))
        }
        return messages
    }

    private func wants(_ type: String, _ flag: String, _ subject: DistinguishedName?) -> Bool {
        guard self.type == "ANY" || self.type == type else { return false }
        // Only certificates have flags.
        if type == "X509", self.flag != "ANY", self.flag != flag { return false }
        guard let wanted = self.subject else { return true }
        guard let subject else { return false }
        return DistinguishedName(wanted)?.matches(subject) ?? (wanted == subject.description)
    }

    private static func message(_ type: String, _ flag: String, hasPrivateKey: Bool, _ der: [UInt8]) -> VICIMessage {
        var message: VICIMessage = ["type": type, "flag": flag]
        if hasPrivateKey { message.append("has_privkey", "yes") }
        message.append("data", bytes: der)
        return message
    }
}
