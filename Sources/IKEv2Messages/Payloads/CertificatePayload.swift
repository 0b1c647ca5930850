/// CERT: a certificate, CRL or raw public key (RFC 7296 section 3.6). Of several, the first holds the key that signs.
///
///     | Cert Encoding |           Certificate Data                    ~
public struct CertificatePayload: Hashable, Sendable {
    public var encoding: CertificateEncoding
    /// DER for X.509, CRLs and raw public keys.
    public var data: [UInt8]

    public init(encoding: CertificateEncoding, data: [UInt8]) {
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
