/// N: an error or a status (RFC 7296 section 3.10).
///
///     |  Protocol ID  |   SPI Size    |      Notify Message Type      |
///     ~                Security Parameter Index (SPI)                 ~
///     ~                       Notification Data                       ~
public struct NotifyPayload: Hashable, Sendable {
    public let type: NotifyType
    /// The protocol of the SA that `spi` names; without an SPI it is sent as zero and ignored on receipt.
    public let protocolID: ProtocolID
    public let spi: [UInt8]
    public let data: [UInt8]

    public init(_ type: NotifyType, protocolID: ProtocolID = .none, spi: [UInt8] = [], data: [UInt8] = []) {
        self.type = type
        self.protocolID = spi.isEmpty ? .none : protocolID
        self.spi = spi
        self.data = data
    }

    /// About a CHILD_SA: REKEY_SA, CHILD_SA_NOT_FOUND, INVALID_SELECTORS.
    public init(_ type: NotifyType, protocolID: ProtocolID, childSPI: UInt32, data: [UInt8] = []) {
        var writer = ByteWriter()
        writer.append(childSPI)
        self.init(type, protocolID: protocolID, spi: writer.bytes, data: data)
    }

    /// The SPI of an ESP or AH SA, host order.
    public var childSPI: UInt32? {
        guard spi.count == 4, protocolID == .esp || protocolID == .ah else { return nil }
        return spi.reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension NotifyPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let protocolID = ProtocolID(rawValue: try reader.uint8())
        let spiSize = Int(try reader.uint8())
        let type = NotifyType(rawValue: try reader.uint16())
        let spi = try reader.take(spiSize)
        self.init(type, protocolID: protocolID, spi: spi, data: reader.takeAll())
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(protocolID.rawValue)
        try writer.append(count: spi.count, of: "SPI size")
        writer.append(type.rawValue)
        writer.append(spi)
        writer.append(data)
    }
}
