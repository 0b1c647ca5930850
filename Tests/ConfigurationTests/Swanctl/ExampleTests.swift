import Configuration
import Foundation
import IKEv2
import Testing

/// The files of deploy/examples are what their README says.
@Suite struct ExampleTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../../deploy/examples").standardized.path

    private func load(_ name: String, folder: TestFolder) throws -> SwanctlConfiguration {
        try folder.write(name, String(contentsOfFile: "\(Self.folder)/\(name)", encoding: .utf8))
        return try folder.load(name)
    }

    @Test func everyExampleIsTested() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".conf") }
        #expect(
            names.sorted() == ["left-certificate.conf", "left-psk.conf", "right-certificate.conf", "right-psk.conf"])
    }

    @Test(arguments: ["psk", "certificate"])
    func bothEndsFitTogether(kind: String) throws {
        let folder = try TestFolder()
        if kind == "certificate" { try makeCertificates(folder) }
        let (left, right) = (
            try load("left-\(kind).conf", folder: folder), try load("right-\(kind).conf", folder: folder)
        )
        #expect(left.warnings.isEmpty && right.warnings.isEmpty, "\(left.warnings + right.warnings)")
        let (here, there) = (try #require(left.connections.first), try #require(right.connections.first))
        #expect(here.localAddresses == there.remoteAddresses && here.remoteAddresses == there.localAddresses)
        #expect(here.local.identity == there.remote.identity && there.local.identity == here.remote.identity)
        #expect(here.local.method == there.remote.method && here.proposals == there.proposals)
        #expect(here.children.map(\.localSelectors) == there.children.map(\.remoteSelectors))
        #expect(here.children.map(\.remoteSelectors) == there.children.map(\.localSelectors))
        #expect(here.children.map(\.proposals) == there.children.map(\.proposals))
        #expect(left.credentials.sharedKeys.map(\.secret) == right.credentials.sharedKeys.map(\.secret))
    }

    /// With the commands of the README.
    private func makeCertificates(_ folder: TestFolder) throws {
        let readme = try String(contentsOfFile: "\(Self.folder)/README.md", encoding: .utf8)
        let lines = readme.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.hasPrefix("    openssl req -x509") })
        let script = lines[start...].prefix { $0.hasPrefix("    ") }.joined(separator: "\n")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [
            "-ec",
            script + "\nmkdir x509 x509ca private; mv ca.pem x509ca; mv left.pem right.pem x509"
                + "\nfor site in left right; do mv $site.key private/$site.pem; done; chmod 600 private/*",
        ]
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}
