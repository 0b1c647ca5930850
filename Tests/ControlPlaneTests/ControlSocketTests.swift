import Foundation
import Testing

@testable import ControlPlane

@Suite struct ControlSocketTests {
    private let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).sock"

    private func mode() -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : 0
    }

    @Test func ownerAndGroupMayConnect() throws {
        let descriptor = try ControlSocket.bind(path)
        defer { close(descriptor); unlink(path) }
        #expect(mode() & 0o7777 == 0o660)
        #expect(mode() & S_IFMT == S_IFSOCK)
    }

    @Test func replacesWhatACrashLeft() throws {
        close(try ControlSocket.bind(path))
        let second = try ControlSocket.bind(path)
        defer { close(second); unlink(path) }
        #expect(listen(second, 1) == 0)
    }

    @Test func leavesALiveSocketAlone() throws {
        let first = try ControlSocket.bind(path)
        defer { close(first); unlink(path) }
        #expect(listen(first, 1) == 0)
        #expect(throws: ControlSocketError.inUse(path)) { try ControlSocket.bind(path) }
        #expect(mode() & S_IFMT == S_IFSOCK)
    }

    @Test func leavesAnotherFileAlone() throws {
        try Data("precious".utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        #expect(throws: ControlSocketError.notASocket(path)) { try ControlSocket.bind(path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test func namesAPathThatIsTooLong() {
        let long = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: ControlSocketError.pathTooLong(long, limit: 107)) { try ControlSocket.bind(long) }
    }

    @Test func clientSaysHowToGetAnAnswer() {
        let missing = #expect(throws: VICIClientError.self) { _ = try VICIClient(path: path) }
        #expect(missing?.description.contains("is `sluice run` running") == true)
    }
}
