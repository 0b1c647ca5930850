/// A proposal substructure (RFC 7296 section 3.3.1): transforms of one type are alternatives, types add up.
///
///     | Last Substruc |   RESERVED    |         Proposal Length       |
///     | Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
///     ~                        SPI (variable)                         ~
///     ~                        <Transforms>                           ~
public struct Proposal: Hashable, Sendable {
    public var number: UInt8
    public var protocolID: ProtocolID
    /// The sender's SPI: empty for the first IKE SA, 8 bytes for an IKE rekey, 4 for ESP and AH.
    public var spi: [UInt8]
    public var transforms: [Transform]

    public init(number: UInt8, protocolID: ProtocolID, spi: [UInt8] = [], transforms: [Transform]) {
        self.number = number
        self.protocolID = protocolID
        self.spi = spi
        self.transforms = transforms
    }

    /// The alternatives of one type, in the sender's order.
    public func transforms(of type: TransformType) -> [Transform] { transforms.filter { $0.type == type } }

    /// The SPI of an ESP or AH proposal, host order.
    public var childSPI: UInt32? { spi.count == 4 ? spi.reduce(0) { $0 << 8 | UInt32($1) } : nil }

    /// The SPI of an IKE rekey, host order.
    public var ikeSPI: UInt64? { spi.count == 8 ? spi.reduce(0) { $0 << 8 | UInt64($1) } : nil }
}

extension Proposal {
    private static let headerLength = 8
    private static let moreFollow: UInt8 = 2

    /// `transformsLeft` counts down over the whole payload. The second result: no proposal follows.
    static func decode(
        from reader: inout ByteReader, transformsLeft: inout Int
    ) throws(DecodingFailure) -> (Proposal, isLast: Bool) {
        let marker = try reader.uint8()
        guard marker == 0 || marker == moreFollow else {
            throw reader.failure(field: "last proposal", Int(marker), size: 1)
        }
        try reader.skip(1)
        let length = Int(try reader.uint16())
        var part = try reader.rest(of: length, lengthRead: 4, field: "proposal length")
        let number = try part.uint8()
        let protocolID = ProtocolID(rawValue: try part.uint8())
        let spiSize = Int(try part.uint8())
        if !isSPISize(spiSize, of: protocolID) { throw part.failure(field: "SPI size", spiSize, size: 1) }
        let count = Int(try part.uint8())
        let spi = try part.take(spiSize)

        transformsLeft -= count
        if transformsLeft < 0 { throw part.failure(.tooMany(field: "transforms", limit: part.limits.transforms)) }
        var transforms: [Transform] = []
        for index in 0..<count {
            let (transform, isLast) = try Transform.decode(from: &part)
            if isLast != (index == count - 1) {
                throw part.failure(.value(field: "number of transforms", count))
            }
            transforms.append(transform)
        }
        try part.requireEnd()
        let proposal = Proposal(number: number, protocolID: protocolID, spi: spi, transforms: transforms)
        return (proposal, marker == 0)
    }

    /// RFC 7296 section 3.3.1. A proposal for a protocol that is unknown here is refused later, as a proposal.
    private static func isSPISize(_ size: Int, of protocolID: ProtocolID) -> Bool {
        switch protocolID {
        case .ike: size == 0 || size == 8
        case .ah, .esp: size == 4
        default: true
        }
    }

    func encode(into writer: inout ByteWriter, isLast: Bool) throws(EncodingFailure) {
        let start = writer.count
        writer.append(isLast ? 0 : Self.moreFollow)
        writer.append(zeros: 3)
        writer.append(number)
        writer.append(protocolID.rawValue)
        try writer.append(count: spi.count, of: "SPI size")
        try writer.append(count: transforms.count, of: "number of transforms")
        writer.append(spi)
        for (index, transform) in transforms.enumerated() {
            try transform.encode(into: &writer, isLast: index == transforms.count - 1)
        }
        try writer.patchLength(since: start, at: start + 2, of: "proposal length")
    }
}

extension Proposal: CustomStringConvertible {
    /// "ESP:AES_GCM_16-256/ESN/NO_ESN".
    public var description: String {
        "\(protocolID):" + transforms.map(\.description).joined(separator: "/")
    }
}
