import Cryptography
import IKEv2
import NIOCore
import Packets

extension IKECommands {
    /// `load-cert`, `load-key`, `unload-key`, `get-keys`, `load-shared`, `unload-shared`, `get-shared`, `clear-creds`,
    /// `flush-certs`.
    static func credentials(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        [
            IKECommand("load-cert", control) { control, request in
                for what in try load(certificate: request, into: &control.credentials) {
                    control.log(1, "\(what) is loaded over the control socket")
                }
                return .success
            },
            IKECommand("load-key", control) { control, request in
                guard let source = request.secret("data") else { throw Problem("data is missing") }
                let key = try CredentialContent.privateKey(source)
                control.credentials.add(key, from: .control)
                let id = key.publicKey.listedID
                control.log(1, "private key \(id) is loaded over the control socket")
                return ["success": "yes", "id": id]
            },
            IKECommand("unload-key", control) { control, request in
                let id = try request.required("id")
                let keys = control.credentials.privateKeys
                guard let key = keys.first(where: { $0.publicKey.listedID == id.lowercased() }) else {
                    throw Problem("unknown private key '\(id)'")
                }
                control.credentials.remove(key)
                control.log(1, "private key \(id) is unloaded over the control socket")
                return .success
            },
            list("get-keys", "keys", control) { $0.credentials.privateKeys.map(\.publicKey.listedID) },
            IKECommand("load-shared", control) { control, request in
                guard let key = try sharedKey(request) else {
                    control.log(0, "secrets of type \(request["type"] ?? "") are not supported, and not used")
                    return .success
                }
                control.credentials.add(key, from: .control)
                control.log(1, "secret '\(key.name)' is loaded over the control socket")
                return .success
            },
            IKECommand("unload-shared", control) { control, request in
                let id = try request.required("id")
                // What is not there needs no unloading: so strongSwan has it, and its clients.
                if control.credentials.removeSharedKey(name: id) {
                    control.log(1, "secret '\(id)' is unloaded over the control socket")
                }
                return .success
            },
            list("get-shared", "keys", control) { $0.credentials.sharedKeyNames },
            IKECommand("clear-creds", control) { control, _ in
                control.credentials.clear()
                control.log(1, "all credentials are cleared over the control socket")
                return .success
            },
            // Certificates that peers send are not kept, so there is nothing to flush.
            IKECommand("flush-certs", control) { _, _ in .success },
        ]
    }

    /// A command that answers with one list.
    static func list(
        _ name: String, _ field: String, _ control: NIOLoopBound<IKEControl>,
        _ items: @escaping @Sendable (IKEControl) -> [String]
    ) -> IKECommand {
        IKECommand(name, control) { control, _ in
            var message = VICIMessage()
            message.append(field, list: items(control))
            return message
        }
    }

    /// Returns what was loaded, for the log.
    private static func load(
        certificate request: VICIMessage, into store: inout CredentialStore
    ) throws -> [String] {
        let type = try request.required("type").uppercased()
        let flag = request["flag"]?.uppercased() ?? "NONE"
        guard let data = request.bytes("data") else { throw Problem("data is missing") }
        switch (type, flag) {
        case ("X509", "CA"):
            let certificates = try CredentialContent.authorities(data)
            for certificate in certificates { store.add(authority: certificate, from: .control) }
            return certificates.map { "authority \"\($0)\"" }
        case ("X509", "NONE"):
            let certificates = try CredentialContent.certificates(data)
            for certificate in certificates { store.add(certificate, from: .control) }
            return certificates.map { "certificate \"\($0)\"" }
        case ("X509_CRL", _):
            let lists = try CredentialContent.revocationLists(data)
            store.add(lists, from: .control)
            return lists.map { ($0.isDelta ? "delta CRL" : "CRL") + " of \"\($0.issuer)\"" }
        case ("PUBKEY", _):
            // A raw key counts only where a connection names it (`pubkeys`); there is nothing to keep it for.
            _ = try CredentialContent.publicKey(data)
            return []
        default:
            throw Problem(
                "certificates of type \(type) with flag \(flag) are not supported; X509 with NONE or CA, X509_CRL and PUBKEY are"
            )
        }
    }

    /// The secret of a request; nil: nothing uses it. A client that loads a file goes on with the next thing only if
    /// this is no error.
    private static func sharedKey(_ request: VICIMessage) throws -> Credentials.SharedKey? {
        let type = try request.required("type").uppercased()
        if ["EAP", "XAUTH", "NTLM", "PPK"].contains(type) { return nil }
        guard type == "IKE" else {
            throw Problem("secrets of type \(type) are not supported; pre-shared keys (IKE) are")
        }
        guard let secret = request.secret("data"), secret.count > 0 else { throw Problem("data is missing") }
        let owners = try (request.list("owners") ?? []).map { owner in
            try Identity(parsing: String(decoding: owner, as: UTF8.self))
        }
        return Credentials.SharedKey(name: request["id"] ?? "", owners: owners, secret: secret)
    }
}

extension PublicKey {
    /// The id that `load-key` answers with: the subject key identifier, in hexadecimal digits.
    var listedID: String { Hexadecimal.text(subjectKeyIdentifier) }
}
