import IKEv2
import Logging
import NIOCore
import NIOPosix

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
        let (port, descriptor) = (socket.port, socket.duplicate())
        guard descriptor >= 0 else { return failed("the process has too many files open") }
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
