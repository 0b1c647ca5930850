import CLibCrypto
import Cryptography
import Foundation
import Testing

/// An authority with two keys of one name, an issuer of indirect lists, a stranger, and certificates to ask about.
struct RevocationScene: Sendable {
    let root: TestAuthority
    /// The same name, another key: the authority after its renewal, self-signed.
    let renewed: TestAuthority
    /// The key of `renewed`, certified by `root`.
    let bridged: TestAuthority
    /// Issues lists for others, below `root`.
    let delegate: TestAuthority
    /// The same name as `delegate`, below nobody who is trusted here.
    let impostor: TestAuthority
    /// Says nothing of CRLs.
    let plain: Certificate
    /// Its CRL is at `own`.
    let pointing: Certificate
    /// Its CRL is that of `delegate`.
    let delegated: Certificate
    /// Its CRLs tell about key compromise only.
    let partial: Certificate
    /// A lower authority, whose CRL is at `own`.
    let middle: Certificate

    static let own = "URI:http://example.org/own.crl"
    static let other = "URI:http://example.org/other.crl"

    init() throws {
        let identified: [Int32: String] = [NID_subject_key_identifier: "hash"]
        let root = try TestAuthority("CN=Root", extensions: identified)
        self.root = root
        renewed = try TestAuthority("CN=Root", key: .p384, extensions: identified)
        func content(_ subject: String, source: String? = nil, sections: String = "") -> TestCertificate {
            var content = TestCertificate(subject: subject, key: .ed25519)
            content.revocationSource = source
            content.sections = sections
            content.extensions = [NID_authority_key_identifier: "keyid"]
            return content
        }
        plain = try root.issue(content("CN=plain"))
        pointing = try root.issue(content("CN=pointing", source: Self.own))
        delegated = try root.issue(
            content(
                "CN=delegated", source: "point",
                sections: "[point]\nfullname=\(Self.own)\nCRLissuer=dirName:issuer\n[issuer]\nCN=Lists\n"))
        partial = try root.issue(
            content("CN=partial", source: "point", sections: "[point]\nfullname=\(Self.own)\nreasons=keyCompromise\n"))
        func authority(_ subject: String, _ key: TestKey) throws -> TestAuthority {
            var content = content(subject)
            content.key = key
            content.isAuthority = true
            content.keyUsage = "critical,keyCertSign,cRLSign"
            content.extensions[NID_subject_key_identifier] = "hash"
            return try root.authority(content)
        }
        bridged = try authority("CN=Root", .p384)
        delegate = try authority("CN=Lists", .p521)
        impostor = try TestAuthority("CN=Lists", key: .ed448)
        var lower = content("CN=Middle", source: Self.own)
        lower.isAuthority = true
        lower.keyUsage = "critical,keyCertSign,cRLSign,digitalSignature"
        middle = try root.issue(lower)
    }

    /// Certificates that are at hand, but not trusted.
    var pool: [Certificate] { [bridged.certificate, delegate.certificate, impostor.certificate] }

    /// Whether `openssl verify` accepts a certificate; with `-extended_crl` and `-use_deltas`, asking for its CRL alone
    /// and not for those of the chain, as that would ask about the root too.
    func isAcceptedByTool(
        _ certificate: Certificate, _ lists: [RevocationList], trusted: [Certificate], pool: [Certificate]
    ) throws -> Bool {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-crl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ bytes: [[UInt8]]) throws -> String {
            let file = folder.appending(path: name)
            try Data(bytes.joined()).write(to: file)
            return file.path
        }
        var arguments = [
            "openssl", "verify", "-partial_chain", "-crl_check", "-extended_crl", "-use_deltas", "-attime",
            "\(TestAuthority.now)", "-CAfile", try write("trusted.pem", trusted.map(pem)),
        ]
        if !pool.isEmpty { arguments += ["-untrusted", try write("pool.pem", pool.map(pem))] }
        if !lists.isEmpty { arguments += ["-CRLfile", try write("lists.pem", lists.map(pem))] }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments + [try write("certificate.pem", [pem(certificate)])]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

/// PEM of a CRL.
func pem(_ list: RevocationList) -> [UInt8] {
    let handle = list.der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
        var cursor = buffer.baseAddress
        return d2i_X509_CRL(nil, &cursor, buffer.count)
    }
    defer { X509_CRL_free(handle) }
    return written { PEM_write_bio_X509_CRL($0, handle) }
}
