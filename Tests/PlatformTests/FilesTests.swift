import Glibc
import Platform
import Testing

@Suite final class FilesTests {
    private let folder: String

    init() throws {
        var template = Array("/tmp/sluice-files-XXXXXX".utf8CString)
        folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        for name in (try? Files.names(in: folder)) ?? [] { try? Files.remove("\(folder)/\(name)") }
        rmdir(folder)
    }

    private func path(_ name: String) -> String { "\(folder)/\(name)" }

    @Test func replacedContentIsOfTheOwnerAlone() throws {
        let file = path("tunnels")
        try Files.replace(file, by: Array("one".utf8))
        try Files.replace(file, by: Array("another".utf8))
        #expect(try Files.content(of: file) == Array("another".utf8))
        #expect(Files.text(of: file) == "another")
        let status = try Files.status(file)
        #expect(status.kind == .regular && status.mode == 0o600 && status.byteCount == 7 && !status.isExposed)
        #expect(try Files.names(in: folder) == ["tunnels"])
    }

    @Test func linksAreRefusedWhereTheyCouldLeadAnywhere() throws {
        try Files.replace(path("aim"), by: [1, 2, 3])
        try #require(symlink("aim", path("link")) == 0)
        #expect(try Files.content(of: path("link")) == [1, 2, 3])
        #expect(try Files.target(ofLink: path("link")) == "aim")
        #expect(throws: Errno.tooManySymbolicLinkLevels) {
            try Files.content(of: self.path("link"), followsLinks: false)
        }
        #expect(throws: Errno.tooManySymbolicLinkLevels) { _ = try Files.openToAppend(self.path("link")) }
        #expect(try Files.status(path("link"), followsLinks: false).kind == .other)
        #expect(try Files.status(path("link")).inode == Files.status(path("aim")).inode)
    }

    @Test func linesAreAddedBehindWhatIsThere() throws {
        for line in ["one\n", "two\n"] {
            let file = try Files.openToAppend(path("log"))
            try Descriptor.writeAll(Array(line.utf8), to: file.number)
            try Files.setMode(of: file, 0o644)
        }
        #expect(Files.text(of: path("log")) == "one\ntwo\n")
        #expect(try Files.status(path("log")).isExposed)
    }

    @Test func tooLongContentIsNotReadToItsEnd() throws {
        try Files.replace(path("long"), by: [UInt8](repeating: 7, count: 100_000))
        let read = try Files.content(of: path("long"), longest: 20_000)
        #expect(read.count > 20_000 && read.count < 60_000)
    }

    @Test func whatIsNotThere() throws {
        #expect(!Files.exists(path("nothing")))
        #expect(throws: Errno.noSuchFileOrDirectory) { try Files.status(self.path("nothing")) }
        #expect(throws: Errno.noSuchFileOrDirectory) { try Files.names(in: self.path("nothing")) }
        #expect(Files.text(of: path("nothing")) == nil)
        try Files.makeDirectory(path("folder"), mode: 0o700)
        #expect(throws: Errno.fileExists) { try Files.makeDirectory(self.path("folder"), mode: 0o700) }
        #expect(try Files.status(path("folder")).kind == .directory)
        rmdir(path("folder"))
    }
}
