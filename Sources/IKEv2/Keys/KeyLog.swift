import Cryptography
import IKEv2Messages
import IPsec
import Packets

// Lines for Wireshark's files `ikev2_decryption_table` and `esp_sa`. They hold keys. What Wireshark has no name for is
// written as a comment, since one unknown name makes it refuse the whole file.

extension IKEKeys {
    /// SPIs, SK_ei, SK_er, encryption, SK_ai, SK_ar, integrity.
    package var keyLogLine: KeyLogLine {
        let encryption =
            switch suite.encryption {
            case .aesCBC(let bits): "AES-CBC-\(bits) [RFC3602]"
            case .aesGCM16(let bits): "AES-GCM-\(bits) with 16 octet ICV [RFC5282]"
            case .chaCha20Poly1305: "ChaCha20-Poly1305 [RFC7634]"
            }
        let isKnown = suite.encryption != .chaCha20Poly1305
        let integrity =
            switch suite.integrity {
            case nil: "NONE [RFC4306]"
            case .hmacSHA1_96: "HMAC_SHA1_96 [RFC2404]"
            case .hmacSHA256_128: "HMAC_SHA2_256_128 [RFC4868]"
            case .hmacSHA384_192: "HMAC_SHA2_384_192 [RFC4868]"
            case .hmacSHA512_256: "HMAC_SHA2_512_256 [RFC4868]"
            }
        let fields = [
            hexadecimal(Self.bytes(initiatorSPI)), hexadecimal(Self.bytes(responderSPI)),
            hexadecimal(encryptionInitiator), hexadecimal(encryptionResponder), "\"\(encryption)\"",
            integrityInitiator.map(hexadecimal) ?? "", integrityResponder.map(hexadecimal) ?? "", "\"\(integrity)\"",
        ]
        return .ike((isKnown ? "" : "# ") + fields.joined(separator: ","))
    }
}

extension ChildSA {
    /// One line for each direction: family, addresses, SPI, encryption and its key, integrity and its key.
    package var keyLogLines: [KeyLogLine] { [inboundKeyLogLine, outboundKeyLogLine] }

    /// Gives both lines to the environment; keys become text only if it wants them.
    func logKeys(to environment: any SessionEnvironment) {
        environment.logKeys(inboundKeyLogLine)
        environment.logKeys(outboundKeyLogLine)
    }

    private var inboundKeyLogLine: KeyLogLine {
        line(from: path.remote.address, to: path.local.address, spi: inboundSPI, key: inboundKey)
    }

    private var outboundKeyLogLine: KeyLogLine {
        line(from: path.local.address, to: path.remote.address, spi: outboundSPI, key: outboundKey)
    }

    private func line(from: IPAddress, to: IPAddress, spi: SPI, key: SecretBytes) -> KeyLogLine {
        // The salt belongs to the key here.
        let split = min(key.count, transform.encryptionKeyLength + transform.saltLength)
        let encryption =
            switch transform.encryption {
            case .aesGCM(_, let icv): "AES-GCM with \(icv) octet ICV [RFC4106]"
            case .aesGMAC: "AES-GMAC [RFC4543]"
            case .chaCha20Poly1305: "ChaCha20 with Poly1305 [RFC7634]"
            case .aesCBC: "AES-CBC [RFC3602]"
            case .aesCTR: "AES-CTR [RFC3686]"
            case .null: "NULL"
            }
        let isKnown =
            switch transform.encryption {
            case .aesGMAC, .chaCha20Poly1305: false
            case .aesGCM, .aesCBC, .aesCTR, .null: true
            }
        let integrity =
            switch transform.integrity {
            case nil: "NULL"
            case .hmacSHA1_96: "HMAC-SHA-1-96 [RFC2404]"
            case .hmacSHA256_128: "HMAC-SHA-256-128 [RFC4868]"
            case .hmacSHA256_96: "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]"
            case .hmacSHA384_192: "HMAC-SHA-384-192 [RFC4868]"
            case .hmacSHA512_256: "HMAC-SHA-512-256 [RFC4868]"
            }
        let fields = [
            from.family == .ipv4 ? "IPv4" : "IPv6", "\(from)", "\(to)",
            "\(spi)", encryption,
            "0x" + hexadecimal(key[0..<split]), integrity, "0x" + hexadecimal(key[split..<key.count]),
        ]
        return .esp((isKnown ? "" : "# ") + fields.map { "\"\($0)\"" }.joined(separator: ","))
    }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func hexadecimal(_ secret: SecretBytes) -> String { secret.withUnsafeBytes { hexadecimal($0) } }
