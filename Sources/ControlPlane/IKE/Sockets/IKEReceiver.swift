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
    /// nil: a datagram whose addresses could not be told.
    private let deliver: (ReceivedDatagram?) -> Void
    private(set) var channel: (any Channel)?
    private var isStopped = false

    /// Any UDP datagram fits.
    private static let largestDatagram = 65_536
    /// Datagrams of one socket that are read before others get their turn.
    private static let burst: UInt = 64
    private static let pause = TimeAmount.seconds(1)

    init(
        _ socket: IKESocket, on eventLoop: any EventLoop, logger: Logger,
        deliver: @escaping (ReceivedDatagram?) -> Void
    ) {
        self.socket = socket
        self.eventLoop = eventLoop
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
            .channelOption(.maxMessagesPerRead, value: Self.burst)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.largestDatagram))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let reader = IKEDatagramReader(port: port) { bound.value.deliver($0) }
                    try channel.pipeline.syncOperations.addHandler(reader)
                }
            }
            .withBoundSocket(descriptor)
            .flatMap { channel in
                // Not before: the option needs a channel that knows its family.
                channel.setOption(.receivePacketInfo, value: true)
                    .flatMap { channel.setOption(.autoRead, value: true) }.map { channel }
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
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            channel.closeFuture.whenComplete { _ in bound.value.failed("its channel has ended") }
        }
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
