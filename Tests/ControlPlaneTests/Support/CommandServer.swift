import Foundation
import IKEv2
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import ControlPlane

/// A control socket with all commands of IKE, before a fake manager.
final class CommandServer: Sendable {
    let path: String
    let hub: EventHub
    let eventLoop: any EventLoop
    private let group: MultiThreadedEventLoopGroup
    private let server: VICIServer
    private let control: NIOLoopBound<IKEControl>
    private let sessions: NIOLoopBound<FakeSessions>

    /// Calls `body` with a server that lives as long as that.
    /// - Parameter logger: gets what commands do.
    static func with(logger: Logger? = nil, _ body: (CommandServer) throws -> Void) throws {
        let server = try CommandServer(logger: logger)
        defer { server.stop() }
        try body(server)
    }

    init(logger: Logger? = nil) throws {
        path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).vici"
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let hub = EventHub(on: loop)
        let (control, sessions, registry) = try loop.submit {
            let sessions = FakeSessions()
            let control = IKEControl(manager: sessions, hub: hub, logger: logger) { sessions.now }
            var registry = CommandRegistry([
                VersionCommand(daemon: "sluice", version: "1.2.3"),
                StatsCommand {
                    DaemonStatistics(
                        uptimeSeconds: 7300, since: "then", workers: 1, idleWorkers: 0, features: ["aead"], sessions: 2)
                },
            ])
            IKECommands.register(control, on: loop, in: &registry)
            return (
                NIOLoopBound(control, eventLoop: loop), NIOLoopBound(sessions, eventLoop: loop), registry
            )
        }.wait()
        (eventLoop, self.hub, self.control, self.sessions) = (loop, hub, control, sessions)
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        server = try VICIServer.start(path: path, registry: registry, group: group, logger: quiet)
    }

    func stop() {
        try? server.stop()
        group.stop()
    }

    func client() throws -> VICIClient { try VICIClient(path: path, timeoutInSeconds: 120) }

    /// Runs `body` on the control event loop.
    @discardableResult
    func onLoop<R: Sendable>(_ body: @escaping @Sendable (FakeSessions, IKEControl) throws -> R) throws -> R {
        try eventLoop.submit { [sessions, control] in try body(sessions.value, control.value) }.wait()
    }

    /// Waits until `condition` holds on the control event loop; fails after a minute.
    func wait(until condition: @escaping @Sendable (FakeSessions, IKEControl) -> Bool) throws {
        for _ in 0..<6000 {
            if try onLoop(condition) { return }
            usleep(10_000)
        }
        Issue.record("it did not come to that within a minute")
    }

    /// Runs a request that waits, in a thread of its own.
    func inBackground(
        _ command: String, _ message: VICIMessage, events: [String] = [EventLine.controlEvent]
    ) -> BackgroundRequest {
        BackgroundRequest(path: path, command, message, events: events)
    }
}

/// A request whose answer comes later.
final class BackgroundRequest: Sendable {
    struct Outcome: Sendable {
        var answer: Result<VICIMessage, VICIClientError>
        var events: [VICIMessage]
    }

    private let state: State

    private final class State: Sendable {
        let outcome = Mutex<Outcome?>(nil)
    }

    init(path: String, _ command: String, _ message: VICIMessage, events: [String]) {
        let state = State()
        self.state = state
        Thread {
            var heard: [VICIMessage] = []
            let answer = Result { () throws(VICIClientError) -> VICIMessage in
                let client = try VICIClient(path: path, timeoutInSeconds: 120)
                for event in events { try client.register(event) }
                return try client.request(command, message) { heard.append($1) }
            }
            state.outcome.withLock { $0 = Outcome(answer: answer, events: heard) }
        }.start()
    }

    var isDone: Bool { state.outcome.withLock { $0 != nil } }

    /// Waits for the answer, a minute at most.
    func outcome() throws -> Outcome {
        for _ in 0..<6000 {
            if let outcome = state.outcome.withLock({ $0 }) { return outcome }
            usleep(10_000)
        }
        Issue.record("no answer within a minute")
        throw VICIClientError.timedOut(seconds: 60)
    }
}
