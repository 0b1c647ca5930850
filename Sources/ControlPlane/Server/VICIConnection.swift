import Logging
import NIOCore

/// One client: answers its requests one after the other, and sends it the events that it registered for.
///
/// The protocol has no request numbers, so a second request waits until the first is answered. A client that does not
/// read is not read from either, so it can't make us buffer without bound.
final class VICIConnection: ChannelInboundHandler {
    typealias InboundIn = VICIPacket
    typealias OutboundOut = ByteBuffer

    private let registry: CommandRegistry
    private let logger: Logger
    private var context: ChannelHandlerContext?
    private var subscriptions: Set<String> = []
    private var waiting: [VICIPacket] = []
    private var answering = false

    init(registry: CommandRegistry, logger: Logger) {
        self.registry = registry
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        waiting = []
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        waiting.append(unwrapInboundIn(data))
        answerNext()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pauseOrResumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.warning("control client dropped", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    /// Sends an event if the client asked for it.
    func emit(_ event: String, _ message: VICIMessage) {
        guard subscriptions.contains(event) else { return }
        send(.event(event, message))
    }

    private func answerNext() {
        while !answering, !waiting.isEmpty {
            answer(waiting.removeFirst())
        }
        if let context { pauseOrResumeReading(context) }
    }

    private func answer(_ packet: VICIPacket) {
        switch packet {
        case .commandRequest(let name, let message):
            guard let command = registry.command(name) else { return send(.commandUnknown) }
            run(command, message)
        case .eventRegister(let name):
            guard registry.events.contains(name) else { return send(.eventUnknown) }
            subscriptions.insert(name)
            send(.eventConfirm)
        case .eventUnregister(let name):
            send(subscriptions.remove(name) == nil ? .eventUnknown : .eventConfirm)
        case .commandResponse, .commandUnknown, .eventConfirm, .eventUnknown, .event:
            logger.warning("control client dropped", metadata: ["error": "it sent a packet that only servers send"])
            context?.close(promise: nil)
        }
    }

    private func run(_ command: any VICICommand, _ message: VICIMessage) {
        guard let eventLoop = context?.eventLoop else { return }
        answering = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let session = VICISession(eventLoop: eventLoop) { event, message in bound.value.emit(event, message) }
        command.respond(to: message, session: session).hop(to: eventLoop).whenComplete { result in
            let connection = bound.value
            switch result {
            case .success(let response): connection.send(.commandResponse(response))
            case .failure(let error): connection.send(.commandResponse(.failure("\(error)")))
            }
            connection.answering = false
            connection.answerNext()
        }
    }

    private func send(_ packet: VICIPacket) {
        guard let context else { return }
        let bytes: [UInt8]
        do {
            bytes = try packet.encoded()
        } catch {
            logger.error("control answer not sent", metadata: ["error": "\(error)"])
            if case .commandResponse = packet { return send(.commandResponse(.failure("\(error)"))) }
            return
        }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    private func pauseOrResumeReading(_ context: ChannelHandlerContext) {
        let read = context.channel.isWritable && waiting.count < 16
        context.channel.setOption(.autoRead, value: read).whenFailure { _ in }
    }
}

extension VICIMessage {
    /// The response of a command that failed.
    static func failure(_ reason: String) -> VICIMessage {
        ["success": "no", "errmsg": String(decoding: reason.utf8.prefix(1024), as: UTF8.self)]
    }
}
