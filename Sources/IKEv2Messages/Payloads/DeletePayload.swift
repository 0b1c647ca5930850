/// D: SAs that the sender has deleted (RFC 7296 section 3.11).
///
///     | Protocol ID   |   SPI Size    |          Num of SPIs          |
///     ~               Security Parameter Index(es) (SPI)              ~
public enum DeletePayload: Hashable, Sendable {
    /// The IKE SA that carries the message.
    case ikeSA
    /// The sender's inbound ESP or AH SAs, by their SPIs in host order.
    case childSAs(ProtocolID, [UInt32])
}

extension DeletePayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let protocolID = ProtocolID(rawValue: try reader.uint8())
        let spiSize = Int(try reader.uint8())
        let count = Int(try reader.uint16())
        switch protocolID {
        case .ike:
            guard spiSize == 0 else { throw reader.failure(.value(field: "SPI size", spiSize)) }
            guard count == 0 else { throw reader.failure(.value(field: "number of SPIs", count)) }
            self = .ikeSA
        case .ah, .esp:
            guard spiSize == 4 else { throw reader.failure(.value(field: "SPI size", spiSize)) }
            // Before any of them is read: the count allocates nothing that the payload does not hold.
            try reader.require(4 * count)
            var spis: [UInt32] = []
            spis.reserveCapacity(count)
            for _ in 0..<count { spis.append(try reader.uint32()) }
            self = .childSAs(protocolID, spis)
        default:
            throw reader.failure(.value(field: "protocol", Int(protocolID.rawValue)))
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        switch self {
        case .ikeSA:
            writer.append(ProtocolID.ike.rawValue)
            writer.append(zeros: 3)
        case .childSAs(let protocolID, let spis):
            writer.append(protocolID.rawValue)
            writer.append(UInt8(4))
            try writer.append(length: spis.count, of: "number of SPIs")
            for spi in spis { writer.append(spi) }
        }
    }
}
