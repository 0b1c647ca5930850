import Cryptography
import NIOCore

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
