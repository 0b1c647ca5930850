import Testing

@testable import Configuration

/// What is no plain UTF-8, and what is said twice.
@Suite struct SettingsEncodingTests {
    private func parse(_ bytes: [UInt8]) -> Result<SettingsFile, ConfigurationErrors> {
        bytes.withUnsafeBytes { buffer in
            Result { () throws(ConfigurationErrors) in try SettingsFile.parse(bytes: buffer, file: "f") }
        }
    }

    @Test func aByteOrderMarkIsNoText() throws {
        let file = try parse([0xEF, 0xBB, 0xBF] + Array("a = b".utf8)).get()
        #expect(file.root.values.map(\.key) == ["a"])
    }

    @Test(arguments: [
        (["a = 1\nid = l", "ft"], 2), (["s {\n l", "n {\n}\n}"], 2), (["a = \"x", "\""], 1),
    ])
    func otherEncodingsAreRefused(_ parts: [String], _ line: Int) throws {
        // An é of Latin 1 between the parts.
        let result = parse(Array(parts[0].utf8) + [0xE9] + Array(parts[1].utf8))
        let error = try #require(#expect(throws: ConfigurationErrors.self) { _ = try result.get() }?.errors.first)
        #expect(error.location.line == line && error.what.contains("UTF-8"), "\(error)")
    }

    /// A passphrase may be any bytes, and a comment is nobody's business.
    @Test func secretsAndCommentsMayHaveAnyBytes() throws {
        let text: [UInt8] =
            Array("# ".utf8) + [0xE9] + Array("\nsecrets {\n ike {\n secret = \"x".utf8) + [0xE9]
            + Array("\"\n}\n}".utf8)
        let secret = try #require(parse(text).get().root.section("secrets")?.section("ike")?.value("secret"))
        guard case .secret(let bytes) = secret.content else {
            Issue.record("it is not a secret")
            return
        }
        #expect(bytes.count == 2)
    }

    @Test func aKeyThatIsSetTwiceIsWarnedOf() throws {
        let text = """
            secrets {
              ike {
                secret = "one that gets lost by mistake"
                id = moon
              }
              ike {
                secret = "another one"
                id = moon
              }
            }
            """
        let warnings = try parse(Array(text.utf8)).get().warnings
        #expect(warnings.map(\.location.line) == [7], "\(warnings)")
        #expect(warnings.first?.what.contains("what line 3 says is lost") == true, "\(warnings)")
        #expect(warnings.first?.description.contains("another") == false)
        let section = "connections { a { version = 1\n } }\nconnections { a { version = 2\n } }"
        let warning = try #require(parse(Array(section.utf8)).get().warnings.first)
        #expect(warning.word == "version" && warning.location.line == 3 && warning.what.contains("'a'"))
    }

    @Test func anotherFileMaySetAKeyAnew() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "connections { a { version = 2\n encap = no\n } }\ninclude more.inc\n")
        try folder.write("more.inc", "connections { a { encap = yes\n } }\n")
        let configuration = try folder.load()
        #expect(configuration.connections.map(\.forcesEncapsulation) == [true])
        #expect(!configuration.warnings.contains { $0.what.contains("second time") })
    }
}
