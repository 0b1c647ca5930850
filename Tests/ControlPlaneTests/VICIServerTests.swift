import Foundation
import Logging
import NIOCore
import NIOPosix
import Platform
import Testing

@testable import ControlPlane

/// A server on a socket of its own, closed and removed at the end.
private func withServer<R>(
    _ registry: CommandRegistry, _ body: (_ path: String) throws -> R
) throws -> R {
    let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).vici"
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer { group.stop() }
    let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let server = try VICIServer.start(path: path, registry: registry, group: group, logger: quiet)
    let result = try body(path)
    try server.stop()
    #expect(!FileManager.default.fileExists(atPath: path))
    return result
}

private struct Echo: VICICommand {
    let name = "echo"
    let events = ["said"]

    func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        session.emit("said", request)
        return session.eventLoop.scheduleTask(in: .milliseconds(5)) { request }.futureResult
    }
}

private struct Fail: VICICommand {
    struct Reason: Error, CustomStringConvertible { let description = "out of luck" }
    let name = "fail"

    func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        session.eventLoop.makeFailedFuture(Reason())
    }
}

@Suite struct VICIServerTests {
    @Test func answersVersion() throws {
        let registry = CommandRegistry([VersionCommand(daemon: "sluice", version: "1.2.3")])
        try withServer(registry) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 120)
            let answer = try client.request("version")
            #expect(answer["daemon"] == "sluice")
            #expect(answer["version"] == "1.2.3")
            #expect(answer["sysname"] == "Linux")
        }
    }

    @Test func answersStatsInTheShapeOfStrongSwan() throws {
        let statistics = DaemonStatistics(
            uptimeSeconds: 7300, since: "then", workers: 4, idleWorkers: 3, features: ["aead"])
        try withServer(CommandRegistry([StatsCommand { statistics }])) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 120)
            let answer = try client.request("stats")
            #expect(answer.section("uptime") == ["running": "2 hours", "since": "then"])
            #expect(answer.section("workers")?["idle"] == "3")
            #expect(answer.section("workers")?.section("active")?["critical"] == "1")
            #expect(answer.list("plugins") == [Array("aead".utf8)])
            let memory = try #require(answer.section("mallinfo"))
            #expect(memory.fields.map(\.name) == ["sbrk", "mmap", "used", "free"])
            let counts = try memory.fields.map { try #require(memory[$0.name].flatMap(UInt64.init)) }
            // AddressSanitizer's allocator gives the C library nothing to count.
            #expect(counts[2] > 0 || counts.allSatisfy { $0 == 0 })
        }
    }

    @Test func saysWhichCommandsAndEventsItDoesNotKnow() throws {
        try withServer(CommandRegistry([Echo()])) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 120)
            #expect(throws: VICIClientError.unknownCommand("list-sas")) { _ = try client.request("list-sas") }
            #expect(throws: VICIClientError.unknownEvent("list-sa")) { try client.register("list-sa") }
            #expect(try client.request("echo", ["a": "b"]) == ["a": "b"])
        }
    }

    @Test func reportsTheReasonOfAFailure() throws {
        try withServer(CommandRegistry([Fail()])) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 120)
            #expect(throws: VICIClientError.refused("out of luck")) { _ = try client.request("fail") }
        }
    }

    @Test func sendsEventsOnlyToThoseWhoRegistered() throws {
        try withServer(CommandRegistry([Echo()])) { path in
            let silent = try VICIClient(path: path, timeoutInSeconds: 120)
            let listening = try VICIClient(path: path, timeoutInSeconds: 120)
            try listening.register("said")
            var heard = [String]()
            _ = try silent.request("echo", ["k": "1"]) { _, message in heard.append(message["k"] ?? "") }
            _ = try listening.request("echo", ["k": "2"]) { _, message in heard.append(message["k"] ?? "") }
            #expect(heard == ["2"])
        }
    }

    /// Two requests in one write, in pieces: answered one after the other, in order.
    @Test func answersPipelinedRequestsInOrder() throws {
        try withServer(CommandRegistry([Echo()])) { path in
            let raw = try RawConnection(path)
            let bytes =
                try VICIPacket.commandRequest("echo", ["n": "1"]).encoded()
                + VICIPacket.commandRequest("nothing", [:]).encoded()
                + VICIPacket.commandRequest("echo", ["n": "2"]).encoded()
            for byte in bytes { raw.write([byte]) }
            let expected =
                try VICIPacket.commandResponse(["n": "1"]).encoded() + VICIPacket.commandUnknown.encoded()
                + VICIPacket.commandResponse(["n": "2"]).encoded()
            #expect(raw.read(expected.count) == expected)
        }
    }

    static let hostile: [[UInt8]] = [
        [0xFF, 0xFF, 0xFF, 0xFF], [0, 8, 0, 1], [0, 0, 0, 1, 9], [0, 0, 0, 0], [0, 0, 0, 1, 5],
        [0, 0, 0, 4, 1, 5, 0, 0],
    ]

    @Test(arguments: hostile) func dropsAClientThatBreaksTheProtocol(_ bytes: [UInt8]) throws {
        try withServer(CommandRegistry([Echo()])) { path in
            let raw = try RawConnection(path)
            raw.write(bytes)
            #expect(raw.read(1) == [])
            let next = try VICIClient(path: path, timeoutInSeconds: 120)
            #expect(try next.request("echo", ["still": "here"]) == ["still": "here"])
        }
    }

    /// Neither the answer nor the end of the loop may need a thread of those that run Swift's tasks: here all of them wait.
    @Test func answersAndEndsWhileEveryTaskWaits() throws {
        let over = DispatchSemaphore(value: 0)
        let waiting = 2 * ProcessInfo.processInfo.activeProcessorCount
        defer { for _ in 0..<waiting { over.signal() } }
        for _ in 0..<waiting { Task.detached { Self.wait(for: over) } }
        let command = StatusCommand { { _ in Array("here".utf8) } }
        try withServer(CommandRegistry([command])) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 20)
            #expect(try client.status(.text) == Array("here".utf8))
        }
    }

    private static func wait(for over: DispatchSemaphore) { over.wait() }

    @Test func streamsADocumentLargerThanAValue() throws {
        let document = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let command = StatusCommand { { format in format == .json ? document : Array("text".utf8) } }
        try withServer(CommandRegistry([command])) { path in
            let client = try VICIClient(path: path, timeoutInSeconds: 120)
            #expect(try client.status(.json) == document)
            #expect(try client.status(.text) == Array("text".utf8))
            #expect(throws: VICIClientError.refused("unknown format 'xml'; use json or text")) {
                _ = try client.request("sluice-status", ["format": "xml"])
            }
        }
    }
}

/// A socket without a protocol.
final class RawConnection {
    private let socket: Socket

    init(_ path: String) throws {
        let socket = try Socket(.localStream)
        try socket.connect(to: try ControlSocket.address(path))
        try socket.setReceiveTimeout(seconds: 120)
        self.socket = socket
    }

    func write(_ bytes: [UInt8]) { _ = try? socket.send(bytes) }

    /// Up to `count` bytes; fewer when the peer closes.
    func read(_ count: Int) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        let received = recv(socket.number, &buffer, count, Int32(MSG_WAITALL))
        return Array(buffer.prefix(max(0, received)))
    }
}
