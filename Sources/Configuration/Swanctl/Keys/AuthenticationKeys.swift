import Cryptography
import IKEv2

// `AuthenticationTranslation` reads these, as `auth` decides what the others are good for.

extension LocalAuthentication: SettingsTarget {
    package static let preset = LocalAuthentication(method: .publicKey(schemes: []))
    package static let reload = Connection.reload

    /// The keys of the section `local`.
    package static let keys: [SettingsKey<LocalAuthentication>] = KeyTable.keys {
        SettingsKey(
            "auth", form: "psk, pubkey, rsa, rsa/pss, ecdsa, ed25519 or ed448, with hashes as in ike:ecdsa-sha384",
            preset: "pubkey", "our proof of who we are",
            json: KeyMembers.method(\.method) + [
                .init("chain_keys") { _ in .list([]) }, .init("chain_schemes") { _ in .list([]) },
            ], shown: .inSentence, vici: KeyMembers.kind(\.method))
        SettingsKey(
            "id", form: "an identity", preset: "the certificate's subject, else our address", "our identity",
            json: [.init("identity") { $0.identity.map { .text($0.description) } }], shown: .inSentence,
            vici: .init("id") { $0.identity.map { .text($0.description) } })
        SettingsKey(
            "certs", form: "file names", preset: "any with a private key of ours",
            "our certificates, in x509; also sections cert… with `file`",
            json: [
                .init("certificates") { .list($0.certificates.map(\.description)) },
                .init("authorities") { _ in .list([]) },
            ], shown: .inSentence, vici: .init("certs") { .list($0.certificates.map(\.subject.description)) })
        SettingsKey(
            "pubkeys", form: "file names", "our raw public keys, in pubkey",
            json: [.init("public_keys") { .list($0.publicKeys.map(\.type.description)) }], shown: .inSentence)
        SettingsKey("round", form: "a number", "order of rounds; there is one only", shown: .never)
        SettingsKey(
            "cacerts", .refused("move it into the 'remote' section, for what the peer has to prove"),
            "authorities")
        SettingsKey(
            "revocation", .refused("move it into the 'remote' section, for what the peer has to prove"),
            "check of revocation")
        SettingsKey("eap_id", .refused("leave it out; EAP is not supported"), "identity of EAP")
        SettingsKey("aaa_id", .refused("leave it out; EAP is not supported"), "identity of the AAA server")
        SettingsKey("xauth_id", .refused("leave it out; XAuth is not supported"), "identity of XAuth")
    }

    static let keyRules = keys.rules()
}

extension RemoteAuthentication: SettingsTarget {
    package static let preset = RemoteAuthentication(method: .publicKey(schemes: []))
    package static let reload = Connection.reload

    /// The keys of the section `remote`.
    package static let keys: [SettingsKey<RemoteAuthentication>] = KeyTable.keys {
        SettingsKey(
            "auth",
            form:
                "as in `local`, with the least bits of keys in the peer's trust chain as in rsa-3072-ecdsa-384-sha384",
            preset: "pubkey", "the proof that the peer has to give",
            json: KeyMembers.method(\.method) + [
                .init("chain_keys") { .list($0.chain?.keys.map(\.boundDescription) ?? []) },
                .init("chain_schemes") { .list($0.chain?.schemes.map(\.description) ?? []) },
            ], shown: .inSentence, vici: KeyMembers.kind(\.method))
        SettingsKey(
            "id", form: "an identity, with wildcards", preset: "the subject of the one certificate of certs, else %any",
            "the peer's identity", json: [.init("identity") { .text($0.identity.description) }], shown: .inSentence,
            vici: .init("id") { $0.identity == .any ? nil : .text($0.identity.description) })
        SettingsKey(
            "certs", form: "file names", preset: "any that an authority vouches for",
            "certificates that are accepted, in x509; also sections cert… with `file`",
            json: [.init("certificates") { .list($0.certificates.map(\.description)) }], shown: .inSentence,
            vici: .init("certs") { .list($0.certificates.map(\.subject.description)) })
        SettingsKey(
            "cacerts", form: "file names", preset: "all that are loaded",
            "authorities that are accepted, in x509ca; also sections cacert… with `file`",
            json: [.init("authorities") { .list($0.authorities.map(\.description)) }], shown: .inSentence,
            vici: .init("cacerts") { .list($0.authorities.map(\.subject.description)) })
        SettingsKey(
            "pubkeys", form: "file names", "raw public keys that are accepted, in pubkey",
            json: [.init("public_keys") { .list($0.publicKeys.map(\.type.description)) }], shown: .inSentence)
        SettingsKey(
            "revocation", form: "strict, ifuri or relaxed", preset: "relaxed",
            "whether a certificate needs a CRL: strict always, ifuri if it names one, relaxed not",
            json: [
                .init("revocation") { remote in
                    if case .publicKey = remote.method { .text(remote.revocation.rawValue) } else { nil }
                }
            ], shown: .inSentence,
            vici: .init("revocation") { $0.revocation == .relaxed ? nil : .text($0.revocation.rawValue) })
        SettingsKey("round", form: "a number", "order of rounds; there is one only", shown: .never)
        SettingsKey(
            "groups", .refused("leave it out; name the accepted authorities with cacerts"), "groups of the peer")
        SettingsKey(
            "cert_policy", .refused("leave it out; name the accepted authorities with cacerts"),
            "policies of certificates")
        SettingsKey("ca_id", .refused("name the accepted authorities with cacerts"), "identity of the authority")
        SettingsKey("eap_id", .refused("leave it out; EAP is not supported"), "identity of EAP")
        SettingsKey("aaa_id", .refused("leave it out; EAP is not supported"), "identity of the AAA server")
        SettingsKey("xauth_id", .refused("leave it out; XAuth is not supported"), "identity of XAuth")
    }

    static let keyRules = keys.rules()
}

/// The members that both sides' `auth` shows.
private enum KeyMembers {
    static func method<Target>(
        _ field: any KeyPath<Target, AuthenticationKind> & Sendable
    ) -> [SettingsKey<Target>.Member] {
        [
            .init("method") { .text($0[keyPath: field] == .preSharedKey ? "psk" : "pubkey") },
            .init("schemes") { target in
                guard case .publicKey(let schemes) = target[keyPath: field] else { return .list([]) }
                return .list(schemes.map(\.description))
            },
        ]
    }

    static func kind<Target>(
        _ field: any KeyPath<Target, AuthenticationKind> & Sendable
    ) -> SettingsKey<Target>.Member {
        .init("class") { .text($0[keyPath: field] == .preSharedKey ? "pre-shared key" : "public key") }
    }
}
