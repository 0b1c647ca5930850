import Packets
import Testing

@testable import Configuration

/// The format of strongswan.conf(5).
@Suite struct SettingsSyntaxTests {
    private func parse(_ text: String) throws -> SettingsSection {
        try Array(text.utf8).withUnsafeBytes { try SettingsFile.parse(bytes: $0, file: "f") }.root
    }

    private func errors(_ text: String) throws -> [Problem] {
        do {
            _ = try parse(text)
            Issue.record("no errors in: \(text)")
            return []
        } catch let error as ConfigurationErrors {
            return error.errors
        }
    }

    /// `a.b=value` for every value, in order.
    private func flat(_ section: SettingsSection, _ prefix: String = "") -> [String] {
        section.values.map { value in
            if case .text(let text) = value.content { "\(prefix)\(value.key)=\(text)" } else { "\(prefix)\(value.key)" }
        } + section.sections.flatMap { flat($0, "\(prefix)\($0.name).") }
    }

    @Test func sectionsValuesAndComments() throws {
        let text = """
            # a comment
            a = b   # behind a value
            one {
              x = C=CH, O=Example, CN=moon
              two
              # between a name and its brace
              {
                y = several   words\there
              }
              z=
            }
            three { w = 1 }
            """
        #expect(
            try flat(parse(text)) == [
                "a=b", "one.x=C=CH, O=Example, CN=moon", "one.z=", "one.two.y=several words here", "three.w=1",
            ])
    }

    @Test(arguments: [
        (#"a = "one # { } two""#, "one # { } two"), (#"a = "x\ty\n\"z\" \\ \q""#, "x\ty\n\"z\" \\ q"),
        ("a = \"first\nsecond\"", "first\nsecond"), ("a = \"joined \\\nline\"", "joined line"),
        ("a = \"joined \\\r\nline\"", "joined line"), (#"a = one "two  three" four"#, "one two  three four"),
        ("a = b\r\n", "b"), ("a = ünïcode", "ünïcode"), (#"a = """#, ""),
    ])
    func values(text: String, expected: String) throws {
        #expect(try flat(parse(text)) == ["a=\(expected)"])
    }

    @Test func laterSectionsMergeAndLastValuesWin() throws {
        let section = try parse("s { a = 1\n b = 2 }\ns { a = 3\n t { c = 4 } }\ns { t { c = 5\n d = 6 } }")
        #expect(flat(section) == ["s.a=3", "s.b=2", "s.t.c=5", "s.t.d=6"])
        #expect(section.section("s")?.value("a")?.location?.line == 3)
        #expect(section.section("s")?.location?.line == 1)
    }

    @Test func references() throws {
        let text = """
            base {
              a = 1
              b = 2
              sub { c = 3 }
            }
            other { b = 20
              e = 5 }
            connections {
              x : base, other {
                a = 10
                sub { d = 4 }
              }
              y : connections.x { e = }
            }
            """
        let connections = try #require(parse(text).section("connections"))
        #expect(try flat(#require(connections.section("x"))) == ["a=10", "b=2", "e=5", "sub.d=4", "sub.c=3"])
        #expect(try flat(#require(connections.section("y"))) == ["e=", "a=10", "b=2", "sub.d=4", "sub.c=3"])
    }

    @Test func inheritedValuesKeepTheirLines() throws {
        let section = try parse("base {\n a = 1\n}\nx : base {\n}\n")
        #expect(section.section("x")?.value("a")?.location == SourceLocation(file: "f", line: 2, column: 2))
    }

    @Test(
        arguments: [
            ("a {", "a", "never closed", 1), ("}", "}", "closes no section", 1), ("a\nb = 1", "a", "expected '='", 1),
            ("a b = 1", "a", "expected '='", 1), ("x = 1\n= 2", "=", "expected a name", 2),
            ("a : { }", nil, "inherits from is missing", 1), ("a : b. { }", nil, "inherits from is missing", 1),
            ("a : b\nc = 1", "a", "no '{' follows", 1),
            ("x { }\na : xs { }", "xs", "unknown section to inherit from", 2),
            ("a = \"open", "a", "never closed", 1), ("a = 1\n\"b\" = 2", "\"", "expected a name", 2),
            ("include", "include", "no file name", 1),
            ("include nothing-here.conf", "nothing-here.conf", "no such file", 1),
            ("a = 1\n\u{0}", nil, "not a text file", 2), ("a { x : a { } }", nil, "circular references", 1),
        ] as [(String, String?, String, Int)])
    func errors(text: String, word: String?, reason: String, line: Int) throws {
        let errors = try errors(text)
        #expect(errors.count == 1)
        let error = try #require(errors.first)
        #expect(error.word == word)
        #expect(error.what.contains(reason), "\(error)")
        #expect(error.location.line == line && !error.remedy.isEmpty, "\(error)")
    }

    @Test func nearNameOfAReference() throws {
        #expect(try errors("base { }\na : bsae { }").first?.remedy == "did you mean 'base'?")
    }

    @Test func depthAndSizeAreBounded() throws {
        let deep = String(repeating: "a {\n", count: 40) + String(repeating: "}\n", count: 40)
        #expect(try errors(deep).first?.what.contains("nested more than 32 deep") == true)
        // Each level inherits ten times from the next: 10^7 keys in the end.
        var wide = ""
        for level in 0..<7 {
            wide += "l\(level) {\n" + (0..<10).map { "s\($0) : l\(level + 1) { }\n" }.joined() + "}\n"
        }
        wide += "l7 { k = 1 }\n"
        #expect(try errors(wide).first?.what.contains("too many") == true)
    }

    @Test func patternsMayMatchNothing() throws {
        #expect(try flat(parse("a = 1\ninclude conf.d/*.conf \"no such folder/*\"\nb = 2")) == ["a=1", "b=2"])
    }
}
