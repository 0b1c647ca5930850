import IKEv2

/// Sections whose keys name secrets and files, which no value is made from one by one.
package enum CredentialSection: SettingsTarget {
    case section

    package static let preset = CredentialSection.section
    package static let reload = "counts from the next authentication on"

    private static let noTokens = "name a file; tokens are not supported"

    /// The keys of a section `cert…` or `cacert…` of `local` and `remote`.
    static let certificateKeys: [SettingsKey<CredentialSection>] = KeyTable.keys {
        SettingsKey("file", form: "a file name", "file of the certificate", shown: .inSentence)
        SettingsKey("handle", .refused(noTokens), "a certificate on a token")
        SettingsKey("slot", .refused(noTokens), "a certificate on a token")
        SettingsKey("module", .refused(noTokens), "a certificate on a token")
    }

    /// The keys of a section `ike…` of `secrets`.
    static let sharedKeyKeys: [SettingsKey<CredentialSection>] = KeyTable.keys {
        SettingsKey(
            "secret", form: "text, hexadecimal digits behind 0x, or base64 behind 0s", "the pre-shared key",
            shown: .inSentence)
        SettingsKey(
            "id", form: "an identity", preset: "everybody",
            "an identity that the key is for; more of them as id-NAME", shown: .inSentence)
    }

    /// The keys of a section `private…`, `rsa…`, `ecdsa…` or `pkcs8…` of `secrets`.
    static let passphraseKeys: [SettingsKey<CredentialSection>] = KeyTable.keys {
        SettingsKey("file", form: "a file name", "the private key that the passphrase is for", shown: .inSentence)
        SettingsKey(
            "secret", form: "text", "the passphrase; others that may fit as secret-NAME", shown: .inSentence)
    }

    /// The keys of a section of `authorities`.
    static let authorityKeys: [SettingsKey<CredentialSection>] = KeyTable.keys {
        SettingsKey("cacert", form: "a file name", "certificate of the authority, in x509ca", shown: .inSentence)
        SettingsKey("file", form: "a file name", "the same", shown: .inSentence)
        SettingsKey("crl_uris", form: "file:/…", "files with CRLs of the authority", shown: .inSentence)
        SettingsKey("ocsp_uris", .refused("leave it out; revocation goes by CRLs in files"), "OCSP")
        SettingsKey("cert_uri_base", .refused("leave it out; certificates are sent whole"), "hash and URL")
        SettingsKey("handle", .refused("name a file with cacert; tokens are not supported"), "a certificate on a token")
        SettingsKey("slot", .refused("name a file with cacert; tokens are not supported"), "a certificate on a token")
        SettingsKey("module", .refused("name a file with cacert; tokens are not supported"), "a certificate on a token")
    }

    /// Kinds of sections of `secrets` that nothing uses, by the beginning of their names, with what to do instead: a connection
    /// that would need one is an error itself.
    static let unusedSecrets: [(prefix: String, remedy: String)] = [
        ("eap", "remove it; EAP is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("xauth", "remove it; XAuth is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("ntlm", "remove it; EAP is not supported, use auth = pubkey or auth = psk with an 'ike' secret"),
        ("ppk", "remove it; postquantum pre-shared keys are not supported"),
        ("pkcs12", "unpack it into x509, x509ca and private: openssl pkcs12 -in FILE -nodes -out FILE.pem"),
        ("token", "put the key into a file in the folder 'private'; tokens are not supported"),
    ]

    /// The warning for each section of `pools`, and what to do. A connection that names one is an error itself.
    static let unusedPools = (
        because: "has no effect: pools of virtual addresses are not supported",
        remedy: "remove it, and name the networks of both sites with local_ts and remote_ts"
    )
}
