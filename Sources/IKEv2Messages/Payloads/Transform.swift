/// A transform substructure (RFC 7296 section 3.3.2): one algorithm.
///
///     | Last Substruc |   RESERVED    |        Transform Length       |
///     |Transform Type |   RESERVED    |          Transform ID         |
///     ~                      Transform Attributes                     ~
public struct Transform: Hashable, Sendable {
    public var type: TransformType
    public var id: UInt16
    public var attributes: [TransformAttribute]

    public init(type: TransformType, id: UInt16, attributes: [TransformAttribute] = []) {
        self.type = type
        self.id = id
        self.attributes = attributes
    }

    /// `keyLength` in bits.
    public static func encryption(_ algorithm: EncryptionAlgorithm, keyLength: UInt16? = nil) -> Transform {
        Transform(
            type: .encryption, id: algorithm.rawValue, attributes: keyLength.map { [.keyLength($0)] } ?? [])
    }

    public static func pseudorandomFunction(_ function: PseudorandomFunction) -> Transform {
        Transform(type: .pseudorandomFunction, id: function.rawValue)
    }

    public static func integrity(_ algorithm: IntegrityAlgorithm) -> Transform {
        Transform(type: .integrity, id: algorithm.rawValue)
    }

    public static func keyExchange(_ method: KeyExchangeID) -> Transform {
        Transform(type: .keyExchange, id: method.rawValue)
    }

    public static func sequenceNumbers(_ numbers: SequenceNumbers) -> Transform {
        Transform(type: .sequenceNumbers, id: numbers.rawValue)
    }

    /// The Key Length attribute in bits.
    public var keyLength: UInt16? {
        for attribute in attributes where attribute.type == .keyLength {
            if case .short(let bits) = attribute.value { return bits }
        }
        return nil
    }

    /// No attribute but one Key Length: others, or two of a kind, make a transform unacceptable while the rest of the
    /// payload stands (RFC 7296 sections 3.3 and 3.3.6).
    public var hasOnlyKnownAttributes: Bool {
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
    public var description: String {
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
