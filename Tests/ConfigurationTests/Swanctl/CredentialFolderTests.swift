import Configuration
import Cryptography
import Foundation
import IKEv2
import Testing

/// Certificates, keys and CRLs from the folders beside the file.
@Suite struct CredentialFolderTests {
    private let certificates = TestCertificates.shared

    private func text(local: String = "certs = moon.crt", more: String = "") -> String {
        """
        connections {
          site {
            remote_addrs = 192.0.2.2
            local {
              auth = pubkey
              \(local)
            }
            remote {
              auth = pubkey
              id = sun.example.org
            }
          }
        }
        \(more)
        """
    }

    private func folder(_ swanctl: String, _ files: [String: String]) throws -> TestFolder {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", swanctl)
        for (path, name) in files { try folder.write(path, certificates[name]) }
        return folder
    }

    @Test func allFolders() throws {
        let folder = try folder(
            text(local: "certs = moon.crt\nid = moon.example.org"),
            [
                "x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "x509ca/sub.crt": "sub.crt",
                "x509crl/root.crl": "ca.crl", "ecdsa/moon.key": "moon.key", "private/ed.pem": "ed.key",
                "pubkey/ed.pub": "ed.pub",
            ])
        try folder.write("x509aa/nonsense", "not read")
        try folder.write("x509/.hidden", "not read")
        let configuration = try folder.load()
        #expect(configuration.warnings.isEmpty, "\(configuration.warnings)")
        // A reload of the same files changes nothing.
        #expect(try folder.load().connections == configuration.connections)
        let credentials = configuration.credentials
        #expect(credentials.certificates.map(\.description) == ["C=CH, O=Example, CN=moon", "C=CH, O=Example, CN=Sub"])
        #expect(credentials.authorities.map(\.description) == ["C=CH, O=Example, CN=Root", "C=CH, O=Example, CN=Sub"])
        #expect(credentials.revocationLists.map(\.issuer.description) == ["C=CH, O=Example, CN=Root"])
        #expect(credentials.privateKeys.map(\.type) == [.ed25519, .ecdsa(bits: 256)])
        #expect(configuration.connections[0].local.certificates.map(\.description) == ["C=CH, O=Example, CN=moon"])
    }

    @Test func namedFiles() throws {
        let folder = try TestFolder()
        let chain = try folder.write("elsewhere/chain.crt", certificates["chain.crt"])
        let root = try folder.write("elsewhere/ca.crt", certificates["ca.crt"])
        let list = try folder.write("elsewhere/ca.crl", certificates["ca.crl"])
        try folder.write("pubkey/ed.pub", certificates["ed.pub"])
        try folder.write("private/moon.key", certificates["moon.key"])
        try folder.write(
            "swanctl.conf",
            """
            connections {
              site {
                local {
                  cert1 { file = \(chain)
                  }
                }
                remote {
                  cacerts = \(root)
                  revocation = strict
                  pubkeys = ed.pub
                }
              }
            }
            authorities {
              root {
                file = \(root)
                crl_uris = file://\(list)
              }
            }
            """)
        let configuration = try folder.load()
        #expect(configuration.warnings.isEmpty, "\(configuration.warnings)")
        let connection = configuration.connections[0]
        #expect(connection.local.certificates.map(\.description) == ["C=CH, O=Example, CN=moon"])
        #expect(connection.remote.authorities.map(\.description) == ["C=CH, O=Example, CN=Root"])
        #expect(connection.remote.publicKeys.map(\.type) == [.ed25519])
        #expect(connection.remote.revocation == .strict)
        // What lay behind the first certificate of a file is there to be sent.
        #expect(configuration.credentials.certificates.map(\.description) == ["C=CH, O=Example, CN=Sub"])
        #expect(configuration.credentials.authorities.map(\.description) == ["C=CH, O=Example, CN=Root"])
        #expect(configuration.credentials.revocationLists.count == 1)
    }

    /// By files as over VICI: complete and delta lists stand side by side, a newer one replaces the older, and one that
    /// somebody else signed replaces nothing.
    @Test(
        arguments: [
            (["ca.crl", "next.crl"], ["2"], []), (["next.crl", "ca.crl"], ["2"], []),
            (["ca.crl", "next.crl", "delta.crl"], ["2", "3"], []),
            (["delta.crl"], ["3"], ["delta to a complete CRL that is missing"]),
            (["ca.crl", "delta.crl"], ["1", "3"], ["delta to a complete CRL that is missing"]),
            (["next.crl", "foreign.crl"], ["2", "nil"], ["has no known signer"]),
        ] as [([String], [String], [String])])
    func revocationLists(_ lists: [String], _ kept: [String], _ warnings: [String]) throws {
        var files = ["x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "private/moon.key": "moon.key"]
        for (index, list) in lists.enumerated() { files["x509crl/\(index).crl"] = list }
        let configuration = try folder(text(), files).load()
        let numbers = configuration.credentials.revocationLists.map { $0.number?.description ?? "nil" }
        #expect(numbers == kept)
        #expect(configuration.warnings.count == warnings.count, "\(configuration.warnings)")
        for (found, wanted) in zip(configuration.warnings, warnings) { #expect(found.what.contains(wanted)) }
    }

    /// It would be trusted like one that `certs` names.
    @Test func authoritiesMayIssue() throws {
        let folder = try folder(text(), ["x509/moon.crt": "moon.crt", "private/moon.key": "moon.key"])
        let conf = text().replacing("id = sun.example.org", with: "cacerts = \(folder.path)/x509/moon.crt")
        try folder.write("swanctl.conf", conf)
        let errors = try folder.errors()
        #expect(errors.map(\.word) == ["C=CH, O=Example, CN=moon"])
        #expect(errors.first?.remedy.contains("'certs'") == true)
    }

    @Test func encryptedKey() throws {
        let files = ["x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "private/moon.key": "encrypted.key"]
        let passphrase = "secrets {\n private-moon {\n file = moon.key\n secret = \"open-sesame\"\n }\n}\n"
        let configuration = try folder(text(more: passphrase), files).load()
        #expect(configuration.credentials.privateKeys.map(\.type) == [.ecdsa(bits: 256)])
        #expect(configuration.warnings.isEmpty, "\(configuration.warnings)")

        // One of several.
        let several = passphrase.replacing("secret =", with: "secret-old = \"close-sesame\"\n secret-new =")
        #expect(try folder(text(more: several), files).load().credentials.privateKeys.count == 1)

        let missing = try folder(text(), files).warnings()
        #expect(missing.map(\.location.description) == ["private/moon.key", "swanctl.conf:2"])
        #expect(missing.first?.remedy.contains("private-1 { file = moon.key") == true, "\(missing)")

        let wrong = try folder(text(more: passphrase.replacing("open", with: "close")), files).warnings()
        #expect(wrong.map(\.location.description) == ["private/moon.key", "swanctl.conf:2"])
        #expect(wrong.first?.remedy.contains("swanctl.conf:") == true, "\(wrong)")
        #expect(wrong.first?.description.contains("sesame") == false)
    }

    /// A section of a key that is not encrypted asks for nothing.
    @Test(arguments: ["", "\n secret =", "\n secret = none-is-needed"])
    func keyWithoutAPassphrase(_ lines: String) throws {
        let section = "secrets {\n private-moon {\n file = moon.key\(lines)\n }\n}\n"
        let files = ["x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "private/moon.key": "moon.key"]
        let configuration = try folder(text(more: section), files).load()
        #expect(configuration.credentials.privateKeys.count == 1)
        #expect(configuration.warnings.isEmpty, "\(configuration.warnings)")
    }

    /// A peer of whom only the certificate is named is its subject, and is asked for by that name.
    @Test func theCertificateNamesThePeer() throws {
        let files = ["x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "private/moon.key": "moon.key"]
        let folder = try folder(text(), files)
        for (old, new, identity) in [
            ("id = sun.example.org", "certs = moon.crt", "C=CH, O=Example, CN=moon"),
            ("id = sun.example.org", "certs = moon.crt\n id = moon.example.org", "moon.example.org"),
            ("id = sun.example.org", "certs = moon.crt\n id = %any", "%any"),
            ("id = sun.example.org", "cacerts = root.crt", "%any"),
        ] {
            try folder.write("swanctl.conf", text().replacing(old, with: new))
            let remote = try #require(folder.load().connections.first?.remote)
            #expect(remote.identity.description == identity)
        }
    }

    @Test func brokenFilesAreNamed() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "")
        for name in ["x509/a", "x509ca/b", "x509crl/c", "pubkey/d", "private/e", "rsa/f", "ecdsa/g", "pkcs8/h"] {
            try folder.write(name, "-----BEGIN NONSENSE-----\n")
        }
        try folder.write("pkcs12/i.p12", "0")
        let errors = try folder.warnings()
        #expect(
            Set(errors.map(\.location.description)) == [
                "x509/a", "x509ca/b", "x509crl/c", "pubkey/d", "private/e", "rsa/f", "ecdsa/g", "pkcs8/h",
                "pkcs12/i.p12",
            ])
        #expect(errors.allSatisfy { !$0.remedy.isEmpty && $0.what.hasPrefix("is not used: ") }, "\(errors)")
    }

    /// One stray file keeps nothing else down.
    @Test func strayFilesAreSkipped() throws {
        let folder = try folder(
            text(),
            [
                "x509/moon.crt": "moon.crt", "x509ca/root.crt": "ca.crt", "private/moon.key": "moon.key",
                "x509ca/sub.crt": "moon.crt", "private/old.key": "encrypted.key",
            ])
        try folder.write("x509/README", "Certificates of the gateways.\n")
        let configuration = try folder.load()
        #expect(configuration.connections.count == 1 && configuration.credentials.privateKeys.count == 1)
        #expect(configuration.credentials.authorities.count == 1)
        #expect(
            try folder.warnings().map(\.location.description) == ["x509/README", "x509ca/sub.crt", "private/old.key"])
    }

    /// What cannot be looked at is not the same as what is not there.
    @Test func foldersAndLinksThatCannotBeRead() throws {
        let folder = try folder("", [:])
        try folder.write("private", "a file in place of the folder")
        try folder.write("x509ca/README", certificates["ca.crt"])
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/x509ca/ca.pem", withDestinationPath: "/nonexistent/ca.pem")
        let warnings = try folder.warnings()
        #expect(warnings.map(\.location.description) == ["x509ca/ca.pem", "private"], "\(warnings)")
        #expect(warnings.first?.what == "is not used: cannot be read: No such file or directory")
        #expect(warnings.last?.what == "is not used: cannot be read: Not a directory")
    }

    @Test func authorityInTheWrongFolder() throws {
        let warnings = try folder("", ["x509ca/moon.crt": "moon.crt"]).warnings()
        #expect(warnings.map(\.remedy) == ["move it to the folder x509"])
    }

    @Test func identityThatTheCertificateLacks() throws {
        let files = ["x509/moon.crt": "moon.crt"]
        let errors = try folder(text(local: "certs = moon.crt\nid = mars.example.org"), files).errors()
        #expect(errors.map(\.word) == ["mars.example.org"])
        #expect(errors.first?.remedy.contains("'moon.example.org', 'moon@example.org', '192.0.2.1'") == true)
        for identity in ["moon@example.org", "192.0.2.1", "\"C=CH, O=Example, CN=moon\"", "MOON.example.org"] {
            _ = try folder(text(local: "certs = moon.crt\nid = \(identity)"), files).load()
        }
    }

    @Test func warnsOfWhatIsMissing() throws {
        let files = ["x509/moon.crt": "moon.crt", "private/ed.key": "ed.key"]
        let reasons = try folder(text(), files).load().warnings.map(\.what)
        #expect(reasons.contains("no private key of the certificate or public key"))
        #expect(reasons.contains("no authority to check the peer's certificate with"))
        let expired = try folder(
            text(local: "certs = old.crt"), ["x509/old.crt": "old.crt", "private/old.key": "old.key"])
        #expect(try expired.load().warnings.contains { $0.what.contains("expired") })
    }

    @Test func warnsOfFilesThatOthersMayRead() throws {
        let folder = try folder("include psk.inc\n", ["x509/moon.crt": "moon.crt"])
        try folder.write("private/moon.key", certificates["moon.key"], permissions: 0o644)
        try folder.write(
            "psk.inc", "secrets {\n ike {\n secret = 0123456789abcdef0123456789abcdef\n }\n}\n", permissions: 0o640)
        let warnings = try folder.load().warnings
        #expect(
            warnings.map(\.remedy) == ["chmod 600 \(folder.path)/private/moon.key", "chmod 600 \(folder.path)/psk.inc"])
        // A file without secrets may be read by everybody.
        try folder.write("swanctl.conf", "", permissions: 0o644)
        #expect(try folder.load().warnings.count == 1)
    }
}
