import Packets

/// D: SAs that the sender has deleted (RFC 7296 section 3.11).
///
///     | Protocol ID   |   SPI Size    |          Num of SPIs          |
///     ~               Security Parameter Index(es) (SPI)              ~
package enum DeletePayload: Hashable, Sendable {
    /// The IKE SA that carries the message.
    case ikeSA
    /// The sender's inbound ESP or AH SAs, by their SPIs. Of a protocol that is unknown here: none.
    case childSAs(ProtocolID, [SPI])
}

extension DeletePayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let protocolID = ProtocolID(rawValue: try reader.uint8())
        let spiSize = Int(try reader.uint8())
        let count = Int(try reader.uint16())
        switch protocolID {
        case .ike:
            // The SPIs are those of the header; what some peers count or repeat here says nothing more.
            _ = reader.takeAll()
            self = .ikeSA
        case .ah, .esp:
            guard spiSize == 4 else { throw reader.failure(.value(field: "SPI size", spiSize)) }
            // Before any of them is read: the count allocates nothing that the payload does not hold.
            try reader.require(4 * count)
            var spis: [SPI] = []
            spis.reserveCapacity(count)
            for _ in 0..<count { spis.append(SPI(try reader.uint32())) }
            self = .childSAs(protocolID, spis)
        default:
            _ = reader.takeAll()
            self = .childSAs(protocolID, [])
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
            for spi in spis { writer.append(spi.value) }
        }
    }
}
