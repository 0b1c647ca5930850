import Cryptography
import Foundation
import Testing

/// Key exchange, signatures and SK payloads against Python's `cryptography`, both ways.
@Suite struct IKEDifferentialTests {
    @Test func keyExchangeAgreesWithPython() throws {
        let sides = try (0..<5).flatMap { _ in try KeyExchangeMethod.allCases.map { try KeyExchange.initiate($0) } }
        let answers = try ask(
            sides.map { side in
                let prime = publishedPrimes[side.method].map { "modp:" + $0 }
                return ["exchange", prime ?? side.method.name, hexadecimal(side.publicValue)]
            })
        for (side, answer) in zip(sides, answers) {
            let secret = try side.finish(with: bytes(answer[0]))
            #expect(secret == SecretBytes(copying: bytes(answer[1])), "\(side.method)")
        }
    }

    @Test func signaturesAgreeWithPython() throws {
        var cases: [(key: TestKey, scheme: SignatureScheme, message: [UInt8], signature: [UInt8])] = []
        for key in TestKey.all {
            let signer = try key.privateKey()
            for scheme in Self.schemes.keys where signer.type.fits(scheme) {
                for message in [[], [7], [UInt8](repeating: 1, count: 3000)] as [[UInt8]] {
                    cases.append((key, scheme, message, try signer.sign(message, scheme: scheme)))
                }
            }
        }
        try #require(cases.count >= 40)
        let verdicts = try ask(
            cases.map { one in
                let key = try one.key.privateKey().publicKey.subjectPublicKeyInfo
                return ["verify", name(one.scheme), word(key), word(one.message), word(one.signature)]
            })
        for (one, verdict) in zip(cases, verdicts) { #expect(verdict == ["good"], "\(one.key.name), \(one.scheme)") }
        let signatures = try ask(cases.map { ["sign", name($0.scheme), word($0.key.pem), word($0.message)] })
        for (one, signature) in zip(cases, signatures) {
            try one.key.privateKey().publicKey.verify(bytes(signature[0]), of: one.message, scheme: one.scheme)
        }
    }

    @Test func sealedPayloadsAgreeWithPython() throws {
        var questions: [[String]] = []
        var sealed: [(cipher: IKECipher, header: [UInt8], body: [UInt8], plaintext: [UInt8])] = []
        for suite in IKECipherSuite.all {
            for count in [0, 16, 48, 1200] {
                let key = try SecretBytes.random(count: suite.encryptionKeyLength)
                let integrity = try SecretBytes.random(count: suite.integrityKeyLength)
                let cipher = try IKECipher(
                    suite, encryptionKey: key, integrityKey: suite.integrity == nil ? nil : integrity)
                let header = (0..<28 + count % 5).map { _ in UInt8.random(in: 0...255) }
                let plaintext = (0..<count).map { _ in UInt8.random(in: 0...255) }
                let body = try cipher.seal(plaintext, authenticating: header)
                sealed.append((cipher, header, body, plaintext))
                let kind = suite.integrity != nil ? "cbc" : suite.encryption == .chaCha20Poly1305 ? "chacha" : "gcm"
                let secrets = [key, integrity].map { word($0.withUnsafeBytes { Array($0) }) }
                let iv = word(Array(body.prefix(suite.ivLength)))
                questions.append(
                    ["seal", kind, suite.integrity?.name ?? "-"] + secrets + [iv, word(header), word(plaintext)])
            }
        }
        for (one, answer) in zip(sealed, try ask(questions)) {
            #expect(answer == [hexadecimal(one.body)], "\(one.cipher.suite)")
            #expect(try one.cipher.open(one.body, authenticating: one.header) == one.plaintext)
        }
    }

    private static let schemes: [SignatureScheme: String] = [
        .rsaPKCS1(.sha256): "pkcs1:sha256", .rsaPKCS1(.sha384): "pkcs1:sha384", .rsaPKCS1(.sha512): "pkcs1:sha512",
        .rsaPSS(.sha256): "pss:sha256", .rsaPSS(.sha384): "pss:sha384", .rsaPSS(.sha512): "pss:sha512",
        .ecdsa(.sha256): "ecdsa:sha256", .ecdsa(.sha384): "ecdsa:sha384", .ecdsa(.sha512): "ecdsa:sha512",
        .ecdsaConcatenated(.sha256): "raw:sha256", .ecdsaConcatenated(.sha384): "raw:sha384",
        .ecdsaConcatenated(.sha512): "raw:sha512", .ed25519: "ed25519", .ed448: "ed448",
    ]

    private func name(_ scheme: SignatureScheme) -> String { Self.schemes[scheme] ?? "?" }

    private func word(_ bytes: [UInt8]) -> String { bytes.isEmpty ? "-" : hexadecimal(bytes) }

    /// Python's answers, one for each question, in words.
    private func ask(_ questions: [[String]]) throws -> [[String]] {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (input, output) = (directory.appendingPathComponent("in"), directory.appendingPathComponent("out"))
        try Data(questions.map { $0.joined(separator: " ") + "\n" }.joined().utf8).write(to: input)
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("ike_differential.py")
        let python = ProcessInfo.processInfo.environment["SLUICE_PYTHON"] ?? "python3"
        process.arguments = [python, script.path]
        process.standardInput = try FileHandle(forReadingFrom: input)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(python) needs the package 'cryptography'")
        let answers = String(decoding: try Data(contentsOf: output), as: UTF8.self)
            .split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        try #require(answers.count == questions.count)
        return answers
    }
}
