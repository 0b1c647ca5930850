import Cryptography
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
    private var streams: [EventStream] = []
    private var streaming = false
    /// Broadcast events that this client missed since it was last told.
    private var missed = 0

    init(registry: CommandRegistry, logger: Logger) {
        self.registry = registry
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        registry.hub?.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        waiting = []
        registry.hub?.remove(self)
        let abandoned = streams
        streams = []
        for stream in abandoned { stream.promise.fail(ChannelError.alreadyClosed) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        waiting.append(unwrapInboundIn(data))
        answerNext()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pauseOrResumeReading(context)
        continueStreams()
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.warning("control client dropped", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    // MARK: - Events

    func wants(_ event: String) -> Bool { subscriptions.contains(event) }

    /// Sends an event of a running command if the client asked for it. Of lines that tell what happens, which never end, a
    /// client that does not read them misses some.
    private func emit(_ event: String, _ message: VICIMessage) {
        guard subscriptions.contains(event) else { return }
        if event == EventLine.controlEvent, context?.channel.isWritable != true {
            missed += 1
            return
        }
        send(.event(event, message))
    }

    /// Sends an encoded event that belongs to no command. A client that has a megabyte to read already misses it: the
    /// daemon neither waits nor buffers for it.
    func offer(_ event: ByteBuffer) {
        guard let context, context.channel.isActive else { return }
        guard context.channel.isWritable else {
            missed += 1
            return
        }
        if missed > 0, wants(EventLine.event) {
            let text = "\(missed) events were not sent here: they were not read fast enough"
            missed = 0
            emit(EventLine.event, EventLine(group: .control, level: 0, text: text).message)
        }
        context.writeAndFlush(wrapOutboundOut(event), promise: nil)
    }

    /// Events of one command that wait for room.
    private struct EventStream {
        let event: String
        var messages: ArraySlice<@Sendable () -> VICIMessage>
        let promise: EventLoopPromise<Void>
    }

    private func stream(
        _ event: String, _ messages: [@Sendable () -> VICIMessage], on eventLoop: any EventLoop
    ) -> EventLoopFuture<Void> {
        guard context != nil else { return eventLoop.makeFailedFuture(ChannelError.alreadyClosed) }
        let promise = eventLoop.makePromise(of: Void.self)
        streams.append(EventStream(event: event, messages: messages[...], promise: promise))
        continueStreams()
        return promise.futureResult
    }

    /// Sends until there is no room. Writing may call this again, which is why it looks whether it is at it already.
    private func continueStreams() {
        guard !streaming else { return }
        streaming = true
        defer { streaming = false }
        while let context, context.channel.isWritable, let first = streams.first {
            guard wants(first.event), let message = first.messages.first else {
                streams.removeFirst().promise.succeed()
                continue
            }
            streams[0].messages.removeFirst()
            send(.event(first.event, message()))
        }
    }

    // MARK: - Requests

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
        let session = VICISession(
            eventLoop: eventLoop,
            client: .init(
                emit: { event, message in bound.value.emit(event, message) },
                stream: { event, messages in bound.value.stream(event, messages, on: eventLoop) },
                isConnected: { bound.value.context != nil }))
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
        ["success": "no", "errmsg": shortened(reason)]
    }

    /// The text as far as it fits into an error message of a client, and can be shown there.
    static func shortened(_ reason: String) -> String { String(PlainText.of(reason).prefix(1024)) }
}

/// Cuts the byte stream into packets by their 32-bit length, and refuses lengths no packet can have.
struct VICIFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = VICIPacket

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let packet = try Self.next(&buffer) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(packet))
        return .continue
    }

    /// Takes the next packet out of the buffer; nil: it is not complete. Bytes of one that carried secrets are zeroed.
    static func next(_ buffer: inout ByteBuffer) throws -> VICIPacket? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= VICILimits.maximumPacketBytes else { throw VICIError.packetTooLong(bytes: Int(length)) }
        guard buffer.readableBytes >= VICILimits.lengthFieldBytes + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: VICILimits.lengthFieldBytes)
        let packet = try Self.packet(buffer.readableBytesView.prefix(Int(length)))
        if packet.mayCarrySecrets { erase(buffer, count: Int(length)) }
        buffer.moveReaderIndex(forwardBy: Int(length))
        return packet
    }

    /// Decodes from a copy, which is zeroed where it had secrets.
    private static func packet(_ view: ByteBufferView) throws -> VICIPacket {
        var bytes = Array(view)
        let packet = try VICIPacket(decoding: bytes)
        if packet.mayCarrySecrets { bytes.withUnsafeMutableBytes(SecretMemory.erase) }
        return packet
    }

    /// Zeroes the next `count` bytes where they are. Writing through the buffer might copy it first and leave the
    /// original as it was; nobody else looks at these bytes.
    private static func erase(_ buffer: ByteBuffer, count: Int) {
        buffer.withUnsafeReadableBytes { readable in
            SecretMemory.erase(
                UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: readable.prefix(count))))
        }
    }

    /// A connection that ends inside a packet is a client that went away: nothing to answer.
    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        while try decode(context: context, buffer: &buffer) == .continue {}
        return .needMoreData
    }
}
