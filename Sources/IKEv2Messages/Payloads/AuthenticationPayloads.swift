/// IDi and IDr: who the sender is, or whom it wants to talk to (RFC 7296 section 3.5).
///
///     |   ID Type     |                 RESERVED                      |
///     ~                   Identification Data                         ~
package struct IdentificationPayload: Sendable {
    package var type: IdentificationType
    package var data: [UInt8]
    /// The reserved field as a peer sent it: meaningless, but part of what its AUTH payload covers.
    private var reserved: [UInt8] = [0, 0, 0]

    package init(type: IdentificationType, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// The payload without its generic header, exactly as on the wire: `RestOfInitIDPayload` and `RestOfRespIDPayload`
    /// of RFC 7296 section 2.15.
    package var authenticatedBytes: [UInt8] { [type.rawValue] + reserved + data }
}

extension IdentificationPayload: Hashable {
    package static func == (left: Self, right: Self) -> Bool { left.type == right.type && left.data == right.data }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(data)
    }
}

extension IdentificationPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        type = IdentificationType(rawValue: try reader.uint8())
        reserved = try reader.take(3)
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(type.rawValue)
        writer.append(zeros: 3)
        writer.append(data)
    }
}

/// CERT: a certificate, CRL or raw public key (RFC 7296 section 3.6). Of several, the first holds the key that signs.
///
///     | Cert Encoding |           Certificate Data                    ~
package struct CertificatePayload: Hashable, Sendable {
    package var encoding: CertificateEncoding
    /// DER for X.509, CRLs and raw public keys.
    package var data: [UInt8]

    package init(encoding: CertificateEncoding, data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }
}

extension CertificatePayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        encoding = CertificateEncoding(rawValue: try reader.uint8())
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(encoding.rawValue)
        writer.append(data)
    }
}

/// CERTREQ: certificates that the sender could verify (RFC 7296 section 3.7).
///
///     | Cert Encoding |           Certification Authority             ~
package struct CertificateRequestPayload: Hashable, Sendable {
    package static let authorityLength = 20

    package var encoding: CertificateEncoding
    /// For X.509: SHA-1 hashes of the subject public key infos of the trusted authorities, one after the other.
    package var data: [UInt8]

    package init(encoding: CertificateEncoding, data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }

    /// `hashes`: of ``authorityLength`` bytes each.
    package init(authorities hashes: [[UInt8]]) {
        self.init(encoding: .x509Signature, data: Array(hashes.joined()))
    }

    /// The hashes; nil when this is no list of hashes, and the request is to be ignored.
    package var authorities: [[UInt8]]? {
        guard data.count.isMultiple(of: Self.authorityLength),
            [.x509Signature, .hashAndURL, .hashAndURLOfBundle].contains(encoding)
        else { return nil }
        return stride(from: 0, to: data.count, by: Self.authorityLength).map {
            Array(data[$0..<$0 + Self.authorityLength])
        }
    }
}

extension CertificateRequestPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        encoding = CertificateEncoding(rawValue: try reader.uint8())
        data = reader.takeAll()
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(encoding.rawValue)
        writer.append(data)
    }
}

/// AUTH: the proof of an identity (RFC 7296 section 3.8).
///
///     | Auth Method   |                RESERVED                       |
///     ~                      Authentication Data                      ~
package struct AuthenticationPayload: Hashable, Sendable {
    package var method: AuthenticationMethod
    package var data: [UInt8]

    package init(method: AuthenticationMethod, data: [UInt8]) {
        self.method = method
        self.data = data
    }

    /// A digital signature (RFC 7427 section 3): the length of the algorithm identifier, it itself (DER), the signature.
    /// Nil when the identifier is longer than its length field can say.
    package init?(algorithmIdentifier: [UInt8], signature: [UInt8]) {
        guard let length = UInt8(exactly: algorithmIdentifier.count) else { return nil }
        self.init(method: .digitalSignature, data: [length] + algorithmIdentifier + signature)
    }

    /// The two parts of a digital signature; nil for other methods and when the data is too short.
    package var digitalSignature: (algorithmIdentifier: [UInt8], signature: [UInt8])? {
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
