import Foundation
import IKEv2
import Packets
import Testing

@testable import ControlPlane

@Suite struct KeyLogFileTests {
    private let directory = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8))"
    private var path: String { directory + "/keys" }

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test func eachSortOfLineGoesToItsFileWhichIsTheOwnersAlone() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            let log = try KeyLogFile(path: path)
            log.write(.ike("one"))
            log.write(.esp("two"))
        }
        try KeyLogFile(path: path).write(.ike("three"))
        #expect(try text(path) == "one\nthree\n")
        #expect(try text(path + ".esp") == "two\n")
        #expect(mode(path) == 0o600)
        #expect(mode(path + ".esp") == 0o600)
    }

    @Test func anOlderFileIsTakenFromOthers() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Data().write(to: URL(filePath: path))
        chmod(path, 0o644)
        _ = try KeyLogFile(path: path)
        #expect(mode(path) == 0o600)
    }

    @Test func aLinkIsNotFollowed() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: directory + "/elsewhere")
        let error = #expect(throws: Problem.self) { _ = try KeyLogFile(path: path) }
        #expect(error?.description.contains(path) == true)
        #expect(!FileManager.default.fileExists(atPath: directory + "/elsewhere"))
    }

    @Test func aDirectoryThatIsNotThereIsNamed() {
        let error = #expect(throws: Problem.self) { _ = try KeyLogFile(path: "/nonexistent/keys") }
        #expect(error?.description.contains("/nonexistent/keys") == true)
        #expect(error?.description.contains("--ike-keylog") == true)
    }
}
