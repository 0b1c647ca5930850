import Foundation
import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets
import Testing

@testable import ControlPlane

/// The file that says which tunnels are up.
@Suite struct TunnelFileTests {
    private let directory = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8))"
    private var path: String { directory + "/tunnels" }

    private static let tunnels: Set<RememberedTunnel> = [
        RememberedTunnel(connection: "right", child: "lan"),
        RememberedTunnel(connection: "Büro 2", child: "net\t%\n"),
        RememberedTunnel(
            connection: "branches", child: "lan", peer: Endpoint(IPAddress(ipv4: 0xC000_0207), port: 4500)),
        RememberedTunnel(
            connection: "branches", child: "lan",
            peer: Endpoint(IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: 7), port: 500)),
    ]

    // MARK: The text

    @Test func everyNameAndPeerComesBack() throws {
        let text = TunnelText.encode(Self.tunnels)
        #expect(Set(try #require(TunnelText.decode(text))) == Self.tunnels)
        #expect(TunnelText.decode(TunnelText.encode([])) == [])
        #expect(text.allSatisfy { $0 < 0x7F })
    }

    @Test(arguments: [
        "", "\n", "sluice tunnels 2\n", "sluice tunnels 1", "sluice tunnels 1\n\n", "sluice tunnels 1\na\n",
        "sluice tunnels 1\na\tb\n", "sluice tunnels 1\n\tb\t-\n", "sluice tunnels 1\na\tb\tc\n",
        "sluice tunnels 1\na\tb\t192.0.2.1\n", "sluice tunnels 1\na\tb\t192.0.2.1\t0\n",
        "sluice tunnels 1\na\tb\t192.0.2.1\t70000\n", "sluice tunnels 1\na\tb\t192.0.2.1\t500\tx\n",
        "sluice tunnels 1\na%2\tb\t-\n", "sluice tunnels 1\na%zz\tb\t-\n", "sluice tunnels 1\na%ff\tb\t-\n",
        "sluice tunnels 1\na b\tb\t-\n", "sluice tunnels 1\na\tb\t-",
    ])
    func whatItDidNotWriteIsRefused(text: String) { #expect(TunnelText.decode(Array(text.utf8)) == nil) }

    /// Whatever is cut off or changed: no crash, and nothing that is too long.
    @Test func damageIsSurvived() {
        let text = TunnelText.encode(Self.tunnels)
        for length in 0..<text.count { _ = TunnelText.decode(Array(text[..<length])) }
        for index in text.indices {
            for bit in 0..<8 {
                var damaged = text
                damaged[index] ^= 1 << bit
                _ = TunnelText.decode(damaged)
            }
        }
        let many = "sluice tunnels 1\n" + String(repeating: "a\tb\t-\n", count: 65_537)
        #expect(TunnelText.decode(Array(many.utf8)) == nil)
    }

    // MARK: The file

    /// Collects warnings.
    private final class Warnings: @unchecked Sendable {
        private let lock = NSLock()
        private var texts: [String] = []
        var count: Int { lock.withLock { texts.count } }
        var logger: Logger {
            Logger(label: "test") { _ in Handler { text in self.lock.withLock { self.texts.append(text) } } }
        }

        private struct Handler: LogHandler {
            let take: @Sendable (String) -> Void
            var metadata = Logger.Metadata()
            var logLevel = Logger.Level.warning

            init(_ take: @escaping @Sendable (String) -> Void) { self.take = take }

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) { take("\(event.message)") }
        }
    }

    /// Runs on an event loop of its own.
    private func onLoop(
        _ warnings: Warnings, _ body: @escaping @Sendable (TunnelFile, any EventLoop) -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let directory = directory
        try await loop.submit {
            body(TunnelFile(directory: directory, eventLoop: loop, logger: warnings.logger), loop)
        }.get()
        for _ in 0..<200 {
            try await Task.sleep(for: .milliseconds(5))
            if FileManager.default.fileExists(atPath: path) || warnings.count > 0 { break }
        }
        try await group.shutdownGracefully()
    }

    private func read() async throws -> (tunnels: Set<RememberedTunnel>, warnings: Int) {
        let warnings = Warnings()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let directory = directory
        let tunnels = try await loop.submit {
            Set(TunnelFile(directory: directory, eventLoop: loop, logger: warnings.logger).read())
        }.get()
        try await group.shutdownGracefully()
        return (tunnels, warnings.count)
    }

    @Test func whatIsWrittenIsRead() async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(try await read() == ([], 0), "there is none at first, and that is fine")
        let warnings = Warnings()
        try await onLoop(warnings) { file, _ in
            #expect(file.write(Self.tunnels))
            #expect(!file.write([]), "one at a time")
        }
        #expect(try await read() == (Self.tunnels, 0))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["tunnels"])
        #expect(warnings.count == 0)
    }

    @Test(arguments: ["rubbish", "", "sluice tunnels 9\n"])
    func aBadFileIsIgnoredWithAWarning(content: String) async throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try content.write(toFile: path, atomically: true, encoding: .utf8)
        #expect(try await read() == ([], 1))
    }

    @Test func aDirectoryInItsPlaceOrNoneIsIgnoredWithAWarning() async throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(try await read() == ([], 1))
        try FileManager.default.removeItem(atPath: directory)
        let warnings = Warnings()
        try await onLoop(warnings) { file, _ in #expect(file.write(Self.tunnels)) }
        #expect(warnings.count == 1)
    }
}
