import Configuration
import IKEv2
import Testing

/// Files within files.
@Suite struct SettingsIncludeTests {
    private static let site = """
        remote_addrs = 192.0.2.2
        local { auth = psk }
        remote { auth = psk }

        """

    @Test func relativeToTheFileAndInOrder() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "connections {\n include conf.d/*.conf\n include last.inc\n}\n")
        try folder.write("conf.d/2.conf", "two {\n include common/site.inc\n}\n")
        try folder.write("conf.d/1.conf", "one {\n include common/site.inc\n version = 2\n}\n")
        try folder.write("conf.d/ignored.txt", "}}}")
        try folder.write("conf.d/common/site.inc", Self.site)
        try folder.write("last.inc", "one { encap = yes }")
        let connections = try folder.load().connections
        #expect(connections.map(\.name) == ["one", "two"])
        #expect(connections.map(\.forcesEncapsulation) == [true, false])
    }

    @Test func circle() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "include a.inc\n")
        try folder.write("a.inc", "\ninclude ./b.inc\n")
        try folder.write("b.inc", "include a.inc\n")
        let error = try #require(folder.errors().first)
        #expect(error.location.description == "./b.inc:1" || error.location.description == "b.inc:1", "\(error)")
        #expect(error.what.contains("includes itself"))
    }

    @Test func errorsNameTheIncludedFile() throws {
        let folder = try TestFolder()
        try folder.write("swanctl.conf", "include conf.d/*.conf\nconnections { a {\n version = 1\n } }")
        try folder.write("conf.d/x.conf", "connections {\n b {\n  remote_adrs = 192.0.2.1\n }\n}\n")
        let errors = try folder.errors()
        #expect(errors.map(\.location.description) == ["swanctl.conf:3", "conf.d/x.conf:3"] || errors.count == 2)
        let typo = try #require(errors.first { $0.word == "remote_adrs" })
        #expect(typo.location.description == "conf.d/x.conf:3")
        #expect(typo.remedy == "did you mean 'remote_addrs'?")
    }

    @Test func missingFileAndFolder() throws {
        let folder = try TestFolder()
        #expect(try folder.errors().first?.what.contains("No such file") == true)
        try folder.write("swanctl.conf", "include .\n")
        #expect(try folder.errors().first?.what.contains("is a directory") == true)
    }

    @Test func tooDeep() throws {
        let folder = try TestFolder()
        for level in 0..<20 { try folder.write("\(level).inc", "include \(level + 1).inc\n") }
        try folder.write("20.inc", "")
        #expect(try folder.errors("0.inc").first?.what.contains("more than 16 deep") == true)
    }
}
