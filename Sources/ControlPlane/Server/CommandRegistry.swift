import NIOCore

/// Answers one command of the control protocol. Families of commands live in a file each, under `Commands/`.
///
/// Runs on the control event loop and must not block it; what takes time completes the future later.
package protocol VICICommand: Sendable {
    /// The name that a request carries, e.g. `version`.
    var name: String { get }
    /// Events that the command streams while it runs; a client registers for them first.
    var events: [String] { get }
    /// The message of the response. A failed future becomes `success = no` with the error as `errmsg`.
    func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage>
}

extension VICICommand {
    package var events: [String] { [] }
}

/// All commands and events that a server knows.
package struct CommandRegistry: Sendable {
    private var commands: [String: any VICICommand] = [:]
    /// Names that a client may register for.
    package private(set) var events: Set<String> = []
    /// The source of events that are no part of an answer.
    package var hub: EventHub?

    package init(_ commands: [any VICICommand] = [], events: Set<String> = [], hub: EventHub? = nil) {
        self.events = events
        self.hub = hub
        for command in commands { register(command) }
    }

    /// Adds a command; a later one with the same name replaces the earlier.
    package mutating func register(_ command: any VICICommand) {
        commands[command.name] = command
        events.formUnion(command.events)
    }

    /// Adds events that come through `hub`.
    package mutating func register(events names: some Sequence<String>) {
        events.formUnion(names)
    }

    package func command(_ name: String) -> (any VICICommand)? {
        commands[name]
    }
}

/// The client that asked, as a running command knows it. For the control event loop only.
package struct VICISession: Sendable {
    /// The receiver of a command's events.
    struct Client: Sendable {
        var emit: @Sendable (String, VICIMessage) -> Void
        var stream: @Sendable (String, [@Sendable () -> VICIMessage]) -> EventLoopFuture<Void>
        var isConnected: @Sendable () -> Bool
    }

    package let eventLoop: any EventLoop
    private let client: Client

    init(eventLoop: any EventLoop, client: Client) {
        self.eventLoop = eventLoop
        self.client = client
    }

    /// Sends an event to this client if it registered for it.
    package func emit(_ event: String, _ message: VICIMessage) {
        client.emit(event, message)
    }

    /// Sends many events, as fast as the client reads them: each message is made when there is room for it. Fails when
    /// the client goes away.
    package func stream(_ event: String, _ messages: [@Sendable () -> VICIMessage]) -> EventLoopFuture<Void> {
        client.stream(event, messages)
    }

    /// False once the client has gone away; nobody will read the answer.
    package var isConnected: Bool { client.isConnected() }
}
