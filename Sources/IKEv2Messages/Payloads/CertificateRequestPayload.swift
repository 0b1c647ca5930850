/// CERTREQ: certificates that the sender could verify (RFC 7296 section 3.7).
///
///     | Cert Encoding |           Certification Authority             ~
public struct CertificateRequestPayload: Hashable, Sendable {
    public static let authorityLength = 20

    public var encoding: CertificateEncoding
    /// For X.509: SHA-1 hashes of the subject public key infos of the trusted authorities, one after the other.
    public var data: [UInt8]

    public init(encoding: CertificateEncoding, data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }

    /// `hashes`: of ``authorityLength`` bytes each.
    public init(authorities hashes: [[UInt8]]) {
        self.init(encoding: .x509Signature, data: Array(hashes.joined()))
    }

    /// The hashes; nil when this is no list of hashes, and the request is to be ignored.
    public var authorities: [[UInt8]]? {
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
