import Cryptography
import Foundation
import IKEv2
import IPsec
import Packets
import Testing

/// What `CertificateData` holds, read.
enum TestCertificates {
    static func certificate(_ base64: String) throws -> Certificate { try Certificate(der: data(base64)) }

    static func key(_ base64: String) throws -> PrivateKey {
        try PrivateKey(SecretBytes(copying: data(base64)))
    }

    static func list(_ base64: String) throws -> RevocationList {
        try #require(try RevocationList.read(data(base64)).first)
    }

    private static func data(_ base64: String) throws -> [UInt8] {
        Array(try #require(Data(base64Encoded: base64, options: .ignoreUnknownCharacters)))
    }
}
