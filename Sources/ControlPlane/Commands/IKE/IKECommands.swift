import NIOCore
import Packets

/// All commands and events of IKE.
package enum IKECommands {
    /// Adds them to the control socket's, and makes the control's hub the way of its events. To be called on
    /// `eventLoop`, where the commands then run.
    ///
    ///     try eventLoop.submit { IKECommands.register(service.control, on: eventLoop, in: &registry) }.wait()
    package static func register(
        _ control: IKEControl, on eventLoop: any EventLoop, in registry: inout CommandRegistry
    ) {
        for command in all(NIOLoopBound(control, eventLoop: eventLoop)) { registry.register(command) }
        registry.register(events: [EventLine.event] + SessionEvents.names)
        registry.hub = control.hub
    }

    private static func all(_ control: NIOLoopBound<IKEControl>) -> [IKECommand] {
        negotiation(control) + listings(control) + connections(control) + credentials(control)
            + authorities(control) + counters(control) + refused(control)
    }
}

/// A command of IKE: a name, and what it does on the control event loop.
struct IKECommand: VICICommand {
    typealias Body = @Sendable (IKEControl, VICIMessage, VICISession) throws -> EventLoopFuture<VICIMessage>

    let name: String
    let events: [String]
    private let control: NIOLoopBound<IKEControl>
    private let body: Body

    /// A command that takes time, or streams events.
    init(_ name: String, events: [String] = [], _ control: NIOLoopBound<IKEControl>, body: @escaping Body) {
        self.name = name
        self.events = events
        self.control = control
        self.body = body
    }

    /// A command that has its answer at once.
    init(
        _ name: String, _ control: NIOLoopBound<IKEControl>,
        answer: @escaping @Sendable (IKEControl, VICIMessage) throws -> VICIMessage
    ) {
        self.init(name, control) { control, request, session in
            session.eventLoop.makeSucceededFuture(try answer(control, request))
        }
    }

    func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        do {
            return try body(control.value, request, session)
        } catch {
            return session.eventLoop.makeFailedFuture(error)
        }
    }
}

extension VICIMessage {
    static let success: VICIMessage = ["success": "yes"]

    /// A value that must be there and not empty.
    func required(_ name: String) throws(Problem) -> String {
        guard let value = self[name], !value.isEmpty else { throw Problem("\(name) is missing") }
        return value
    }

    /// A number, if it is there. Throws when the value is none, or out of the type's range.
    func number<Number: FixedWidthInteger>(_ name: String, as type: Number.Type) throws(Problem) -> Number? {
        guard let text = self[name] else { return nil }
        guard let number = Number(text) else {
            throw Problem("invalid number '\(text)' of '\(name)'; use one from \(Number.min) to \(Number.max)")
        }
        return number
    }
}
