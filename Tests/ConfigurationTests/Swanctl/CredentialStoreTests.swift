import Configuration
import Cryptography
import Foundation
import IKEv2
import Testing

/// One store for files and the control socket.
@Suite struct CredentialStoreTests {
    private let files = TestCertificates.shared

    private func bytes(_ name: String) -> [UInt8] { Array(files[name].utf8) }

    private func certificate(_ name: String) throws -> Certificate {
        try #require(try CredentialContent.certificates(bytes(name)).first)
    }

    private func lists(_ name: String) throws -> [RevocationList] { try CredentialContent.revocationLists(bytes(name)) }

    private func key(_ name: String) throws -> PrivateKey {
        try CredentialContent.privateKey(SecretBytes(copying: bytes(name)))
    }

    private func secret(_ name: String, _ text: String) -> Credentials.SharedKey {
        .init(name: name, owners: [.domainName("b.test")], secret: SecretBytes(copying: Array(text.utf8)))
    }

    /// Everything that two stores can differ in, without secrets.
    private func contents(_ credentials: Credentials) -> [[String]] {
        [
            credentials.sharedKeys.map { "\($0.name) \($0.owners)" },
            credentials.privateKeys.map { "\($0.publicKey.subjectKeyIdentifier)" },
            credentials.certificates.map(\.description), credentials.authorities.map(\.description),
            credentials.revocationLists.map { "\($0.issuer) \($0.isDelta) \($0.der.count)" },
        ].map { $0.sorted() }
    }

    /// A store with an authority, an intermediate one, our certificate and key, a CRL and a secret.
    private func store(from source: CredentialStore.Source) throws -> CredentialStore {
        var store = CredentialStore()
        store.add(secret("ike-1", "one"), from: source)
        for name in ["ca.crt", "sub.crt"] { store.add(authority: try certificate(name), from: source) }
        store.add(try certificate("moon.crt"), from: source)
        for name in ["ca.crl", "delta.crl"] { store.add(try lists(name), from: source) }
        for name in ["moon.key", "ed.key"] { store.add(try key(name), from: source) }
        return store
    }

    @Test func filesAndTheSocketGiveEqualStores() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "secrets {\n ike-1 {\n id = b.test\n secret = one\n }\n}")
        let places = [
            "x509ca/root.crt": "ca.crt", "x509ca/sub.crt": "sub.crt", "x509/moon.crt": "moon.crt",
            "x509crl/root.crl": "ca.crl", "x509crl/root-delta.crl": "delta.crl", "private/moon.key": "moon.key",
            "private/ed.key": "ed.key",
        ]
        for (path, name) in places { try folder.write(path, files[name]) }
        let loaded = try folder.load().credentials
        let socket = try store(from: .control).merged
        #expect(contents(loaded) == contents(socket))
        #expect(contents(loaded) == contents(try store(from: .file).merged))
        #expect(loaded.sharedKeys.map(\.secret) == socket.sharedKeys.map(\.secret))
        #expect(socket.certificates.contains(try certificate("sub.crt")), "an intermediate authority is sent to peers")
        #expect(socket.revocationLists.count == 2, "a list and the delta to it stand side by side")
    }

    @Test func aReloadKeepsWhatTheSocketBrought() throws {
        var store = try store(from: .control)
        let before = contents(store.merged)
        store.replaceFile(with: Credentials())
        #expect(contents(store.merged) == before)
        var file = CredentialStore()
        file.add(secret("ike-file", "two"), from: .file)
        store.replaceFile(with: file.merged)
        #expect(store.sharedKeyNames.sorted() == ["ike-1", "ike-file"])
        // The next file has it no more.
        store.replaceFile(with: Credentials())
        #expect(contents(store.merged) == before)
    }

    @Test func whatAFileHadGoesWithIt() throws {
        var store = CredentialStore()
        store.replaceFile(with: try self.store(from: .file).merged)
        // The socket brings a part of it again, which stays the file's.
        store.add(try key("moon.key"), from: .control)
        store.add(try certificate("moon.crt"), from: .control)
        store.replaceFile(with: Credentials())
        #expect(store.isEmpty)
    }

    @Test func whatCannotBeReadStaysWhileItIsMissing() throws {
        var store = CredentialStore()
        store.replaceFile(with: try self.store(from: .file).merged)
        let before = contents(store.merged)
        store.replaceFile(with: Credentials(), keepingOthers: true)
        #expect(contents(store.merged) == before)
    }

    @Test func unloads() throws {
        var store = try store(from: .control)
        let removals = ["ike-1", "ike-1", ""].map { store.removeSharedKey(name: $0) }
        #expect(removals == [true, false, false])
        #expect(store.hasPrivateKey(for: try certificate("moon.crt")))
        store.remove(try key("moon.key"))
        #expect(!store.hasPrivateKey(for: try certificate("moon.crt")) && store.privateKeys.count == 1)
        store.replaceFile(with: Credentials())
        #expect(store.privateKeys.count == 1 && store.sharedKeyNames.isEmpty, "a reload brings nothing back")
        let authority = Authority(name: "root", certificate: try certificate("ca.crt"), revocationLists: [])
        store.add(authority, from: .control)
        store.clear()
        #expect(store.merged.authorities == [authority.certificate] && store.merged.certificates.isEmpty)
        let gone = ["root", "root"].map { store.removeAuthority(name: $0) }
        #expect(gone == [true, false] && store.isEmpty)
    }

    @Test func theNewerListOfAScopeCounts() throws {
        var store = CredentialStore()
        store.add(authority: try certificate("ca.crt"), from: .file)
        for (name, source) in [("ca.crl", CredentialStore.Source.file), ("next.crl", .control), ("ca.crl", .control)] {
            store.add(try lists(name), from: source)
        }
        #expect(Array(store.merged.revocationLists) == (try lists("next.crl")))
        // Another key of that name has signed it, which is another scope.
        store.add(try lists("foreign.crl"), from: .control)
        #expect(store.merged.revocationLists.count == 2)
    }

    @Test func oneSortOfErrorTellsWhyBytesAreUnusable() throws {
        let nonsense = Array("nonsense".utf8)
        let errors = [
            #expect(throws: CredentialError.self) { try CredentialContent.certificates(nonsense) },
            #expect(throws: CredentialError.self) { try CredentialContent.revocationLists(nonsense) },
            #expect(throws: CredentialError.self) { try CredentialContent.publicKey(nonsense) },
            #expect(throws: CredentialError.self) {
                try CredentialContent.privateKey(SecretBytes(copying: nonsense))
            },
        ]
        #expect(
            errors.allSatisfy { $0?.kind == .unusable && $0?.problem.remedy.hasPrefix("give a") == true }, "\(errors)")
        let other = #expect(throws: CredentialError.self) { try CredentialContent.authorities(bytes("moon.crt")) }
        #expect(other?.kind == .notAuthority)
        let encrypted = SecretBytes(copying: bytes("encrypted.key"))
        let wrong = SecretBytes(copying: Array("wrong".utf8))
        let right = SecretBytes(copying: Array("open-sesame".utf8))
        #expect(throws: CredentialError.self) { try CredentialContent.privateKey(encrypted) }
        let unfit = #expect(throws: CredentialError.self) {
            try CredentialContent.privateKey(encrypted, passphrases: [wrong])
        }
        #expect(unfit?.kind == .wrongPassphrase)
        let moon = try key("moon.key")
        for passphrases in [[right], [wrong, right], [right, wrong]] {
            #expect(try CredentialContent.privateKey(encrypted, passphrases: passphrases).publicKey == moon.publicKey)
        }
    }
}
