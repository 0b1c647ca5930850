import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets
import Platform

/// Reads one IKE socket through NIO. A channel that ends, for whatever reason, is opened again: IKE must not go deaf.
/// Belongs to its event loop.
final class IKEReceiver {
    private let socket: IKESocket
    private let eventLoop: any EventLoop
    private let logger: Logger
    /// Called with each datagram; nil: one whose addresses could not be told.
    private let deliver: (ReceivedDatagram?) -> Void
    /// Says when strangers' datagrams may be read; nil: the socket is read as datagrams come.
    private let gate: StrangerGate?
    private(set) var channel: (any Channel)?
    private var isStopped = false

    /// Any UDP datagram fits.
    private static let largestDatagram = 65_536
    /// Datagrams of one socket that are read before others get their turn.
    private static let burst: UInt = 64
    /// The same of strangers' datagrams, each of which may cost milliseconds.
    private static let strangersBurst: UInt = 16
    private static let pause = TimeAmount.seconds(1)

    init(
        _ socket: IKESocket, on eventLoop: any EventLoop, gate: StrangerGate? = nil, logger: Logger,
        deliver: @escaping (ReceivedDatagram?) -> Void
    ) {
        self.socket = socket
        self.eventLoop = eventLoop
        self.gate = gate
        self.logger = logger
        self.deliver = deliver
    }

    func start() {
        guard !isStopped else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let port = socket.port
        guard let descriptor = try? socket.duplicate().release() else {
            return failed("the process has too many files open")
        }
        DatagramBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: gate == nil ? Self.burst : Self.strangersBurst)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.largestDatagram))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let reader = IKEDatagramReader(
                        port: port, deliver: { bound.value.take($0) }, roundEnded: { bound.value.roundEnded() })
                    try channel.pipeline.syncOperations.addHandler(reader)
                }
            }
            .withBoundSocket(descriptor)
            .flatMap { channel in
                // Not before: the option needs a channel that knows its family.
                channel.setOption(.receivePacketInfo, value: true).map { channel }
            }
            .whenComplete { bound.value.opened($0) }
    }

    /// Closes the channel; the socket itself stays until it is released.
    func stop() {
        isStopped = true
        channel?.close(promise: nil)
    }

    private func opened(_ result: Result<any Channel, any Error>) {
        switch result {
        case .failure(let error): failed("\(error)")
        case .success(let channel):
            guard !isStopped else { return channel.close(promise: nil) }
            self.channel = channel
            if gate == nil {
                channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
            } else {
                channel.read()
            }
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            channel.closeFuture.whenComplete { _ in bound.value.failed("its channel has ended") }
        }
    }

    private func take(_ datagram: ReceivedDatagram?) {
        gate?.began()
        deliver(datagram)
    }

    private func roundEnded() {
        gate?.ended { [weak self] in self?.channel?.read() }
    }

    private func failed(_ reason: String) {
        guard !isStopped else { return }
        channel = nil
        logger.error(
            "IKE socket not read; tried again in a second",
            metadata: ["socket": "\(socket.family.name) \(socket.port)", "error": "\(reason)"])
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pause) { bound.value.start() }
    }
}

/// A datagram as it came: its bytes, both ends, and the interface that a link-local answer leaves by.
struct ReceivedDatagram {
    var bytes: [UInt8]
    var path: Path
    var interfaceIndex: UInt32
}

/// The NIO side of an IKE socket: gives each datagram, with the local address that it was sent to, to a function.
private final class IKEDatagramReader: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let port: UInt16
    /// Called with each datagram; nil: its addresses could not be told.
    private let deliver: (ReceivedDatagram?) -> Void
    /// A round of reading is over.
    private let roundEnded: () -> Void

    init(port: UInt16, deliver: @escaping (ReceivedDatagram?) -> Void, roundEnded: @escaping () -> Void) {
        self.port = port
        self.deliver = deliver
        self.roundEnded = roundEnded
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let remote = Endpoint(envelope.remoteAddress), let info = envelope.metadata?.packetInfo,
            let local = Endpoint(info.destinationAddress)
        else { return deliver(nil) }
        deliver(
            ReceivedDatagram(
                bytes: Array(envelope.data.readableBytesView),
                path: Path(local: Endpoint(local.address, port: port), remote: remote),
                interfaceIndex: UInt32(truncatingIfNeeded: info.interfaceIndex)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        roundEnded()
        context.fireChannelReadComplete()
    }

    /// An error of one datagram (of an earlier one that was sent, as the kernel tells it) is none of the socket.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Lets strangers' datagrams in as long as they take no more than their share of the event loop; what is not read stays in
/// the kernel's queue, and is lost there when that is full. Belongs to the loop.
final class StrangerGate {
    private let eventLoop: any EventLoop
    private let clock: () -> Instant
    private let processorTime: () -> UInt64
    private var budget = WorkBudget(shareInPercent: 40, reserve: .milliseconds(20))
    /// Processor time at the beginning of the round of reading that is under way.
    private var begun: UInt64?

    /// - Parameters:
    ///   - clock: the gateway's clock.
    ///   - processorTime: nanoseconds that the calling thread has worked.
    init(
        on eventLoop: any EventLoop, clock: @escaping () -> Instant,
        processorTime: @escaping () -> UInt64 = SystemClock.ofThread
    ) {
        self.eventLoop = eventLoop
        self.clock = clock
        self.processorTime = processorTime
    }

    /// A datagram was read and is going to be handled.
    func began() { if begun == nil { begun = processorTime() } }

    /// The round of reading is over. Calls `readOn` when there is room for another one, never at once: what others have
    /// to do, and what the round sends, comes first and is paid for.
    func ended(_ readOn: @escaping () -> Void) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let next = NIOLoopBound(readOn, eventLoop: eventLoop)
        eventLoop.execute {
            let gate = bound.value
            if let begun = gate.begun {
                let ended = gate.processorTime()
                gate.budget.charge(.nanoseconds(ended > begun ? ended - begun : 0), at: gate.clock())
                gate.begun = nil
            }
            let wait = gate.budget.wait(at: gate.clock())
            if wait == .zero { return next.value() }
            gate.eventLoop.scheduleTask(in: .nanoseconds(Int64(clamping: wait.wholeNanoseconds))) { next.value() }
        }
    }
}

/// The kinds of UDP datagrams on an IKE port (RFC 3948 section 2, RFC 7296 section 2.23).
enum IKEDatagram: Equatable {
    /// An IKE message, its marker taken off.
    case message([UInt8])
    /// One byte 0xFF that keeps a NAT's mapping alive.
    case keepalive
    /// ESP that the steering program did not take: it came by a port that is no WAN, or in fragments.
    case esp
    /// Too short for anything.
    case malformed

    private static let keepaliveByte: UInt8 = 0xFF
    static let keepaliveBytes = [keepaliveByte]
    /// The fixed header of an IKE message (RFC 7296 section 3.1), or the least that ESP has (RFC 4303 section 2).
    private static let leastLength = 28
    private static let leastESPLength = 8

    init(_ bytes: [UInt8], hasMarker: Bool) {
        if bytes.count == 1, bytes[0] == Self.keepaliveByte {
            self = .keepalive
        } else if !hasMarker {
            self = bytes.count >= Self.leastLength ? .message(bytes) : .malformed
        } else if bytes.count < Self.leastESPLength {
            self = .malformed
        } else if bytes.prefix(IKESocket.markerLength).contains(where: { $0 != 0 }) {
            self = .esp
        } else {
            let message = Array(bytes.dropFirst(IKESocket.markerLength))
            self = message.count >= Self.leastLength ? .message(message) : .malformed
        }
    }
}

/// Datagrams of the IKE sockets, by what became of them.
package struct IKEDatagramCounters: Hashable, Sendable {
    package var received: UInt64 = 0
    package var sent: UInt64 = 0
    package var keepalivesReceived: UInt64 = 0
    package var keepalivesSent: UInt64 = 0
    /// Dropped: ESP in UDP that only the kernel saw.
    package var espReceived: UInt64 = 0
    /// Dropped: too short, or to an address that is nobody's own.
    package var malformed: UInt64 = 0
    /// Datagrams that were not sent as the kernel refused.
    package var sendFailures: UInt64 = 0

    package init() {}
}
