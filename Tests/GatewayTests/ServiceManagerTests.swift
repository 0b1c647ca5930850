import Foundation
import Testing

@testable import Gateway

@Suite(.serialized) struct ServiceManagerTests {
    /// What systemd would receive on its socket.
    private func received(_ name: String, abstract: Bool, _ notify: () -> Void) throws -> String {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0[(abstract ? 1 : 0)...].copyBytes(from: bytes) }
        let offset = MemoryLayout<sockaddr_un>.size - MemoryLayout.size(ofValue: address.sun_path)
        let length = socklen_t(offset + bytes.count + (abstract ? 1 : 0))
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0)
        defer { if !abstract { unlink(name) } }
        setenv("NOTIFY_SOCKET", (abstract ? "@" : "") + name, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        notify()
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    @Test func tellsThatItIsReady() throws {
        let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).notify"
        #expect(
            try received(path, abstract: false) { ServiceManager.ready("all well") } == "READY=1\nSTATUS=all well\n")
    }

    @Test func knowsAbstractSockets() throws {
        let name = "sluice-test-\(UUID().uuidString)"
        #expect(try received(name, abstract: true) { ServiceManager.stopping() } == "STOPPING=1\n")
    }

    @Test func saysNothingWithoutSystemd() throws {
        let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).notify"
        let heard = try received(path, abstract: false) {
            unsetenv("NOTIFY_SOCKET")
            ServiceManager.ready("nobody listens")
        }
        #expect(heard.isEmpty)
    }
}
