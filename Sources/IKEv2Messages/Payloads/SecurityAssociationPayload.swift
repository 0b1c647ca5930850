import Packets

/// SA: proposals, most preferred first (RFC 7296 section 3.3).
package struct SecurityAssociationPayload: Hashable, Sendable {
    package var proposals: [Proposal]

    package init(_ proposals: [Proposal]) { self.proposals = proposals }

    /// An offer numbers its proposals 1, 2, 3, … (RFC 7296 section 3.3.1). Ours does; of a peer's the numbers are only
    /// repeated.
    package var isNumberedAsOffer: Bool {
        proposals.enumerated().allSatisfy { Int($0.element.number) == $0.offset + 1 }
    }
}

extension SecurityAssociationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        proposals = []
        var transformsLeft = reader.limits.transforms
        var isLast = false
        while !isLast {
            if proposals.count == reader.limits.proposals {
                throw reader.failure(.tooMany(field: "proposals", limit: reader.limits.proposals))
            }
            let (proposal, last) = try Proposal.decode(from: &reader, transformsLeft: &transformsLeft)
            proposals.append(proposal)
            isLast = last
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        if proposals.isEmpty { throw EncodingFailure(field: "number of proposals", value: 0, limit: 255) }
        for (index, proposal) in proposals.enumerated() {
            try proposal.encode(into: &writer, isLast: index == proposals.count - 1)
        }
    }
}

/// A proposal substructure (RFC 7296 section 3.3.1): transforms of one type are alternatives, types add up.
///
///     | Last Substruc |   RESERVED    |         Proposal Length       |
///     | Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
///     ~                        SPI (variable)                         ~
///     ~                        <Transforms>                           ~
package struct Proposal: Hashable, Sendable {
    package var number: UInt8
    package var protocolID: ProtocolID
    /// The sender's SPI: empty for the first IKE SA, 8 bytes for an IKE rekey, 4 for ESP and AH.
    package var spi: [UInt8]
    package var transforms: [Transform]

    package init(number: UInt8, protocolID: ProtocolID, spi: [UInt8] = [], transforms: [Transform]) {
        self.number = number
        self.protocolID = protocolID
        self.spi = spi
        self.transforms = transforms
    }

    /// The alternatives of one type, in the sender's order.
    package func transforms(of type: TransformType) -> [Transform] { transforms.filter { $0.type == type } }

    /// The SPI of an ESP or AH proposal.
    package var childSPI: SPI? { SPI(bytes: spi) }

    /// The SPI of an IKE rekey, host order.
    package var ikeSPI: UInt64? { spi.count == 8 ? spi.reduce(0) { $0 << 8 | UInt64($1) } : nil }
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
    package var description: String {
        "\(protocolID):" + transforms.map(\.description).joined(separator: "/")
    }
}

/// A transform substructure (RFC 7296 section 3.3.2): one algorithm.
///
///     | Last Substruc |   RESERVED    |        Transform Length       |
///     |Transform Type |   RESERVED    |          Transform ID         |
///     ~                      Transform Attributes                     ~
package struct Transform: Hashable, Sendable {
    package var type: TransformType
    package var id: UInt16
    package var attributes: [TransformAttribute]

    package init(type: TransformType, id: UInt16, attributes: [TransformAttribute] = []) {
        self.type = type
        self.id = id
        self.attributes = attributes
    }

    /// `keyLength` in bits.
    package static func encryption(_ algorithm: EncryptionAlgorithm, keyLength: UInt16? = nil) -> Transform {
        Transform(
            type: .encryption, id: algorithm.rawValue, attributes: keyLength.map { [.keyLength($0)] } ?? [])
    }

    package static func pseudorandomFunction(_ function: PseudorandomFunction) -> Transform {
        Transform(type: .pseudorandomFunction, id: function.rawValue)
    }

    package static func integrity(_ algorithm: IntegrityAlgorithm) -> Transform {
        Transform(type: .integrity, id: algorithm.rawValue)
    }

    package static func keyExchange(_ method: KeyExchangeID) -> Transform {
        Transform(type: .keyExchange, id: method.rawValue)
    }

    package static func sequenceNumbers(_ numbers: SequenceNumbers) -> Transform {
        Transform(type: .sequenceNumbers, id: numbers.rawValue)
    }

    /// The Key Length attribute in bits.
    package var keyLength: UInt16? {
        for attribute in attributes where attribute.type == .keyLength {
            if case .short(let bits) = attribute.value { return bits }
        }
        return nil
    }

    /// No attribute but one Key Length: others, or two of a kind, make a transform unacceptable while the rest of the
    /// payload stands (RFC 7296 sections 3.3 and 3.3.6).
    package var hasOnlyKnownAttributes: Bool {
        attributes.isEmpty || (attributes.count == 1 && keyLength != nil)
    }
}

extension Transform {
    private static let moreFollow: UInt8 = 3

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> (Transform, isLast: Bool) {
        let marker = try reader.uint8()
        guard marker == 0 || marker == moreFollow else {
            throw reader.failure(field: "last transform", Int(marker), size: 1)
        }
        try reader.skip(1)
        let length = Int(try reader.uint16())
        var part = try reader.rest(of: length, lengthRead: 4, field: "transform length")
        let type = TransformType(rawValue: try part.uint8())
        try part.skip(1)
        let id = try part.uint16()
        var attributes: [TransformAttribute] = []
        while !part.isAtEnd {
            if attributes.count == part.limits.transformAttributes {
                throw part.failure(
                    .tooMany(field: "transform attributes", limit: part.limits.transformAttributes))
            }
            attributes.append(try TransformAttribute(from: &part))
        }
        return (Transform(type: type, id: id, attributes: attributes), marker == 0)
    }

    func encode(into writer: inout ByteWriter, isLast: Bool) throws(EncodingFailure) {
        let start = writer.count
        writer.append(isLast ? 0 : Self.moreFollow)
        writer.append(zeros: 3)
        writer.append(type.rawValue)
        writer.append(zeros: 1)
        writer.append(id)
        for attribute in attributes { try attribute.encode(into: &writer) }
        try writer.patchLength(since: start, at: start + 2, of: "transform length")
    }
}

extension Transform: CustomStringConvertible {
    /// "AES_GCM_16-256", "CURVE_25519"; an additional key exchange says which one.
    package var description: String {
        let name: String =
            switch type {
            case .encryption: EncryptionAlgorithm(rawValue: id).description
            case .pseudorandomFunction: PseudorandomFunction(rawValue: id).description
            case .integrity: IntegrityAlgorithm(rawValue: id).description
            case .keyExchange: KeyExchangeID(rawValue: id).description
            case .sequenceNumbers: SequenceNumbers(rawValue: id).description
            case _ where type.isAdditionalKeyExchange: "\(type)_\(KeyExchangeID(rawValue: id))"
            default: "\(type) \(id)"
            }
        return keyLength.map { "\(name)-\($0)" } ?? name
    }
}

/// A data attribute of a transform (RFC 7296 section 3.3.5): two bytes in place (AF = 1), or any length (AF = 0).
package struct TransformAttribute: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
        case short(UInt16)
        case variable([UInt8])
    }

    /// IKEv2 Transform Attribute Types, 15 bits.
    package struct AttributeType: Codepoint {
        package let rawValue: UInt16
        /// The format bit is dropped.
        package init(rawValue: UInt16) { self.rawValue = rawValue & 0x7FFF }

        package static let keyLength = Self(rawValue: 14)

        package static let label = "attribute"
        package static let names: [Self: String] = [.keyLength: "Key Length"]
    }

    package let type: AttributeType
    package let value: Value

    package init(type: AttributeType, value: Value) {
        self.type = type
        self.value = value
    }

    /// A key length in bits.
    package static func keyLength(_ bits: UInt16) -> TransformAttribute {
        TransformAttribute(type: .keyLength, value: .short(bits))
    }

    private static let shortFormat: UInt16 = 0x8000

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let field = try reader.uint16()
        type = AttributeType(rawValue: field)
        if field & Self.shortFormat != 0 {
            value = .short(try reader.uint16())
        } else {
            let length = Int(try reader.uint16())
            value = .variable(try reader.take(length))
        }
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        switch value {
        case .short(let bits):
            writer.append(type.rawValue | Self.shortFormat)
            writer.append(bits)
        case .variable(let data):
            writer.append(type.rawValue)
            try writer.append(length: data.count, of: "attribute length")
            writer.append(data)
        }
    }
}
