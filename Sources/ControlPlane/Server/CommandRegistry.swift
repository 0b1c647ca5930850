import NIOCore

/// Answers one command of the control protocol. Families of commands live in a file each, under `Commands/`.
///
/// Runs on the control event loop and must not block it; what takes time completes the future later.
public protocol VICICommand: Sendable {
    /// The name that a request carries, e.g. `version`.
    var name: String { get }
    /// Events that the command streams while it runs; a client registers for them first.
    var events: [String] { get }
    /// The message of the response. A failed future becomes `success = no` with the error as `errmsg`.
    func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage>
}

extension VICICommand {
    public var events: [String] { [] }
}

/// All commands and events that a server knows.
public struct CommandRegistry: Sendable {
    private var commands: [String: any VICICommand] = [:]
    /// Names that a client may register for.
    public private(set) var events: Set<String> = []

    public init(_ commands: [any VICICommand] = [], events: Set<String> = []) {
        self.events = events
        for command in commands { register(command) }
    }

    /// Adds a command; a later one with the same name replaces the earlier.
    public mutating func register(_ command: any VICICommand) {
        commands[command.name] = command
        events.formUnion(command.events)
    }

    public func command(_ name: String) -> (any VICICommand)? {
        commands[name]
    }
}

/// What a running command knows of the client that asked.
public struct VICISession: Sendable {
    public let eventLoop: any EventLoop
    private let emitter: @Sendable (String, VICIMessage) -> Void

    public init(eventLoop: any EventLoop, emitter: @escaping @Sendable (String, VICIMessage) -> Void) {
        self.eventLoop = eventLoop
        self.emitter = emitter
    }

    /// Sends an event to this client if it registered for it. Callable from the control event loop only.
    public func emit(_ event: String, _ message: VICIMessage) {
        emitter(event, message)
    }
}
