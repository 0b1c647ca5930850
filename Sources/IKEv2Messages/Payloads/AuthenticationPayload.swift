/// AUTH: the proof of an identity (RFC 7296 section 3.8).
///
///     | Auth Method   |                RESERVED                       |
///     ~                      Authentication Data                      ~
public struct AuthenticationPayload: Hashable, Sendable {
    public var method: AuthenticationMethod
    public var data: [UInt8]

    public init(method: AuthenticationMethod, data: [UInt8]) {
        self.method = method
        self.data = data
    }

    /// A digital signature (RFC 7427 section 3): the length of the algorithm identifier, it itself (DER), the signature.
    /// Nil when the identifier is longer than its length field can say.
    public init?(algorithmIdentifier: [UInt8], signature: [UInt8]) {
        guard let length = UInt8(exactly: algorithmIdentifier.count) else { return nil }
        self.init(method: .digitalSignature, data: [length] + algorithmIdentifier + signature)
    }

    /// The two parts of a digital signature; nil for other methods and when the data is too short.
    public var digitalSignature: (algorithmIdentifier: [UInt8], signature: [UInt8])? {
        guard method == .digitalSignature, let length = data.first, data.count > Int(length) else { return nil }
        return (Array(data[1..<1 + Int(length)]), Array(data[(1 + Int(length))...]))
    }
}

extension AuthenticationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        method = AuthenticationMethod(rawValue: try reader.uint8())
        try reader.skip(3)
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(method.rawValue)
        writer.append(zeros: 3)
        writer.append(data)
    }
}
