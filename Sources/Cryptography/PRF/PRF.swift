/// A pseudorandom function of IKEv2 (RFC 7296 section 2.13, RFC 4868), numbered as IANA's transform type 2.
public enum PRF: UInt16, Hashable, Sendable, CaseIterable {
    /// RFC 2104. Legacy: RFC 8247 section 2.2 still says MUST-; never part of `default`.
    case hmacSHA1 = 2
    case hmacSHA256 = 5
    case hmacSHA384 = 6
    case hmacSHA512 = 7

    /// Length in bytes of the output, which is also the preferred key length.
    public var outputLength: Int {
        switch self {
        case .hmacSHA1: 20
        case .hmacSHA256: 32
        case .hmacSHA384: 48
        case .hmacSHA512: 64
        }
    }

    /// strongSwan's notation, "prfsha256".
    public var name: String { self == .hmacSHA1 ? "prfsha1" : "prfsha\(outputLength * 8)" }

    /// Reads strongSwan's notation; nil for anything else.
    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    var digest: String { self == .hmacSHA1 ? "SHA1" : "SHA\(outputLength * 8)" }
}

extension PRF: CustomStringConvertible {
    public var description: String { name }
}

/// One part of what goes into a PRF: public bytes, or a secret that must not be copied out of its memory.
public enum PRFInput: Sendable {
    case bytes([UInt8])
    case secret(SecretBytes)

    func withUnsafeBytes(_ body: (UnsafeRawBufferPointer) throws(CryptographyError) -> Void) throws(CryptographyError) {
        switch self {
        case .bytes(let bytes):
            // `withUnsafeBytes` of Array has no typed throw.
            let outcome = bytes.withUnsafeBytes { buffer in
                Result { () throws(CryptographyError) in try body(buffer) }
            }
            try outcome.get()
        case .secret(let secret): try secret.withUnsafeBytes(body)
        }
    }
}

extension PRF {
    /// prf(key, parts joined together), RFC 7296 section 2.13.
    public func compute(key: SecretBytes, _ parts: PRFInput...) throws(CryptographyError) -> SecretBytes {
        try compute(key: key, parts)
    }

    /// prf(key, parts joined together), RFC 7296 section 2.13.
    public func compute(key: SecretBytes, _ parts: [PRFInput]) throws(CryptographyError) -> SecretBytes {
        let stream = try HMACStream(digest: digest, key: key)
        for part in parts { try part.withUnsafeBytes { bytes throws(CryptographyError) in try stream.update(bytes) } }
        return try secret(count: outputLength) { output throws(CryptographyError) in
            try stream.finish(into: output)
        }
    }

    /// prf+(key, seed) cut to `count` bytes: T1 | T2 | … with T1 = prf(K, S | 1) and Tn = prf(K, Tn-1 | S | n),
    /// RFC 7296 section 2.13. Throws when more than 255 blocks were needed, as the RFC stops there.
    public func expand(key: SecretBytes, _ seed: PRFInput..., count: Int) throws(CryptographyError) -> SecretBytes {
        try expand(key: key, seed, count: count)
    }

    /// prf+(key, seed) cut to `count` bytes, RFC 7296 section 2.13.
    public func expand(key: SecretBytes, _ seed: [PRFInput], count: Int) throws(CryptographyError) -> SecretBytes {
        let blocks = (count + outputLength - 1) / outputLength
        guard count >= 0, blocks <= 255 else {
            throw .library(function: "prf+", reason: "\(count) bytes are more than 255 blocks of \(outputLength)")
        }
        let stream = try HMACStream(digest: digest, key: key)
        let length = outputLength
        // Whole blocks, so that every block can be written in place; what is beyond `count` is cut off.
        let all = try secret(count: blocks * length) { output throws(CryptographyError) in
            for index in 0..<blocks {
                if index > 0 {
                    try stream.restart()
                    let previous = output[(index - 1) * length..<index * length]
                    try stream.update(UnsafeRawBufferPointer(rebasing: previous))
                }
                for part in seed {
                    try part.withUnsafeBytes { bytes throws(CryptographyError) in try stream.update(bytes) }
                }
                try PRFInput.bytes([UInt8(index + 1)]).withUnsafeBytes { bytes throws(CryptographyError) in
                    try stream.update(bytes)
                }
                try stream.finish(
                    into: UnsafeMutableRawBufferPointer(rebasing: output[index * length..<(index + 1) * length]))
            }
        }
        return all.count == count ? all : all[0..<count]
    }
}

/// `SecretBytes.init` with a typed throw.
func secret(
    count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(CryptographyError) -> Void
) throws(CryptographyError) -> SecretBytes {
    var failure: CryptographyError?
    let secret = SecretBytes(count: count) { output in
        do throws(CryptographyError) { try body(output) } catch { failure = error }
    }
    if let failure { throw failure }
    return secret
}
