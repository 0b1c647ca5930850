import NIOCore

/// Cuts the byte stream into packets by their 32-bit length, and refuses lengths no packet can have.
struct VICIFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = VICIPacket

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return .needMoreData }
        guard length <= VICILimits.maximumPacketBytes else { throw VICIError.packetTooLong(bytes: Int(length)) }
        guard buffer.readableBytes >= VICILimits.lengthFieldBytes + Int(length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: VICILimits.lengthFieldBytes)
        let bytes = buffer.readBytes(length: Int(length)) ?? []
        context.fireChannelRead(wrapInboundOut(try VICIPacket(decoding: bytes)))
        return .continue
    }

    /// A connection that ends inside a packet is a client that went away: nothing to answer.
    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        while try decode(context: context, buffer: &buffer) == .continue {}
        return .needMoreData
    }
}
