import IKEv2
import NIOCore

/// A datagram as it came: its bytes, both ends, and the interface that a link-local answer leaves by.
struct ReceivedDatagram {
    var bytes: [UInt8]
    var path: Path
    var interfaceIndex: UInt32
}

/// The NIO side of an IKE socket: gives each datagram, with the local address that it was sent to, to a function.
final class IKEDatagramReader: ChannelInboundHandler {
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
