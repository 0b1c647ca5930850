import Cryptography
import Packets

/// The algorithms of one `xfrm state` line, and what they come to.
///
/// The kernel's names, key formats and sizes: `ip xfrm`(8), RFC 4106, 4543, 7634, 3686, 4868.
struct XfrmAlgorithms {
    /// One of `aead NAME KEY BITS`, `enc NAME KEY`, `auth NAME KEY`, `auth-trunc NAME KEY BITS`.
    struct Clause {
        let keyword: Word
        let name: String
        let key: SecretBytes
        let bits: Int?
    }

    private(set) var aead: Clause?
    private(set) var encryption: Clause?
    private(set) var authentication: Clause?

    static let aeadNames = ["rfc4106(gcm(aes))", "rfc4543(gcm(aes))", "rfc7539esp(chacha20,poly1305)"]
    static let encryptionNames = ["cbc(aes)", "rfc3686(ctr(aes))", "ecb(cipher_null)"]
    static let authenticationNames = ["hmac(sha256)", "hmac(sha384)", "hmac(sha512)", "hmac(sha1)"]

    /// The kernel's other names for the same algorithms.
    private static let aliases = [
        "aes": "cbc(aes)", "cipher_null": "ecb(cipher_null)", "sha256": "hmac(sha256)", "sha1": "hmac(sha1)",
    ]

    /// Reads the clause that `keyword` begins.
    mutating func read(_ keyword: Word, _ cursor: inout WordCursor) throws(Problem) {
        let name = try readName(keyword, &cursor)
        let key = try readKey(keyword, &cursor)
        cursor.isBehindKey = true
        var bits: Int?
        if keyword == "aead" || keyword == "auth-trunc" {
            let what = keyword == "aead" ? "ICV length in bits" : "truncation length in bits"
            bits = try cursor.number(of: keyword, what, in: 1...4096)
        }
        let clause = Clause(keyword: keyword, name: name, key: key, bits: bits)
        let isSecond: Bool
        if keyword == "aead" {
            isSecond = aead != nil
            aead = clause
        } else if keyword == "enc" {
            isSecond = encryption != nil
            encryption = clause
        } else {
            isSecond = authentication != nil
            authentication = clause
        }
        if isSecond { cursor.errors.append(Self.error(cursor, keyword, "given twice", "keep one")) }
    }

    private func readName(_ keyword: Word, _ cursor: inout WordCursor) throws(Problem) -> String {
        let word = try cursor.value(of: keyword, "an algorithm name")
        let known: [String]
        if keyword == "aead" {
            known = Self.aeadNames
        } else if keyword == "enc" {
            known = Self.encryptionNames
        } else {
            known = Self.authenticationNames
        }
        let text = word.text
        let name = Self.aliases[text] ?? text
        guard known.contains(name) else {
            // Where the name was forgotten, this is the key: it is shown only if it has the form of a name.
            let isName = text.utf8.allSatisfy(Self.isNameByte) && text.hasSuffix(")") && text.contains("(")
            let place = isName ? word : keyword
            let what =
                isName
                ? "this algorithm is not supported for '\(keyword.text)'"
                : "the algorithm after it is not supported"
            throw Self.error(cursor, place, what, "use one of \(known.joined(separator: ", "))")
        }
        return name
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }

    /// `0x` and hexadecimal digits, or else the characters themselves. An odd number of digits gets a zero in front.
    private func readKey(_ keyword: Word, _ cursor: inout WordCursor) throws(Problem) -> SecretBytes {
        let word = try cursor.value(of: keyword, "a key")
        let bytes = word.bytes
        guard bytes.count >= 2, bytes[0] == UInt8(ascii: "0"), bytes[1] == UInt8(ascii: "x") else {
            return SecretBytes(copying: bytes)
        }
        let digits = UnsafeRawBufferPointer(rebasing: bytes[2...])
        guard digits.allSatisfy({ Self.nibble($0) != nil }) else {
            throw Self.error(
                cursor, keyword, "the key has a character that is not a hexadecimal digit",
                "write 0x and the digits 0-9, a-f")
        }
        if !digits.count.isMultiple(of: 2) {
            cursor.warnings.append(
                Problem(
                    .warning, .init(file: cursor.file, line: keyword.line, column: keyword.column),
                    word: keyword.text, "the key has an odd number of digits",
                    remedy: "a digit seems to be missing; Linux puts a zero in front"))
        }
        let leading = digits.count % 2
        return SecretBytes(count: (digits.count + 1) / 2) { target in
            for (position, digit) in digits.enumerated() {
                let index = (position + leading) / 2
                target[index] = target[index] << 4 | (Self.nibble(digit) ?? 0)
            }
        }
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// An error at a keyword or a name, which are shown also behind a key.
    static func error(
        _ cursor: WordCursor, _ word: Word, _ reason: String, _ remedy: String
    ) -> Problem {
        Problem(
            .error, SourceLocation(file: cursor.file, line: word.line, column: word.column), word: word.text,
            reason, remedy: remedy)
    }
}

/// Translation of the kernel's algorithm names to a transform and its key material.
extension XfrmAlgorithms {
    /// The transform, and its key material in the engine's order: encryption key, salt, integrity key.
    ///
    /// - Parameter line: any word of the line, for what is missing.
    func transform(
        _ line: Word, _ cursor: inout WordCursor
    ) throws(Problem) -> (transform: ESPTransform, key: SecretBytes) {
        if let aead {
            if let other = encryption ?? authentication {
                throw Self.error(
                    cursor, other.keyword, "'aead' encrypts and authenticates", "remove either of them")
            }
            return (try aeadTransform(aead, cursor), aead.key)
        }
        guard let authentication else {
            throw Self.error(
                cursor, encryption?.keyword ?? line, "ESP without an integrity algorithm is not supported",
                "add aead 'rfc4106(gcm(aes))' KEY 128, or enc and auth-trunc (RFC 8221 section 4)")
        }
        guard let encryption else {
            throw Self.error(
                cursor, authentication.keyword, "an encryption algorithm is missing",
                "add enc 'cbc(aes)' KEY, or enc 'ecb(cipher_null)' \"\" for no encryption")
        }
        let (integrity, integrityKey) = try integrity(authentication, &cursor)
        let cipher = try encryptionTransform(encryption, cursor)
        guard let transform = try? ESPTransform(encryption: cipher, integrity: integrity) else {
            throw Self.error(cursor, encryption.keyword, "this combination is not supported", "use 'aead'")
        }
        return (transform, encryption.key.joined(with: integrityKey))
    }

    private func aeadTransform(
        _ clause: Clause, _ cursor: borrowing WordCursor
    ) throws(Problem) -> ESPTransform {
        let bits = clause.bits ?? 0
        let isGCM = clause.name == "rfc4106(gcm(aes))"
        let lengths = isGCM ? [64, 96, 128] : [128]
        guard lengths.contains(bits) else {
            throw Self.error(
                cursor, clause.keyword, "\(clause.name) has no ICV of \(bits) bits",
                "use \(lengths.map(String.init).joined(separator: ", "))")
        }
        let saltLength = 4
        if clause.name == "rfc7539esp(chacha20,poly1305)" {
            try check(clause, takes: [32], plus: saltLength, "salt", cursor)
            return .chaCha20Poly1305
        }
        try check(clause, takes: Self.aesKeyLengths, plus: saltLength, "salt", cursor)
        let keyBits = (clause.key.count - saltLength) * 8
        return try make(
            clause, isGCM ? .aesGCM(keyBits: keyBits, icvBytes: bits / 8) : .aesGMAC(keyBits: keyBits), cursor)
    }

    private static let aesKeyLengths = [16, 24, 32]

    private func make(
        _ clause: Clause, _ encryption: ESPTransform.Encryption, _ cursor: borrowing WordCursor
    ) throws(Problem) -> ESPTransform {
        do throws(CryptographyError) {
            return try ESPTransform(encryption: encryption)
        } catch {
            throw Self.error(cursor, clause.keyword, "\(error)", "choose another algorithm")
        }
    }

    private func encryptionTransform(
        _ clause: Clause, _ cursor: borrowing WordCursor
    ) throws(Problem) -> ESPTransform.Encryption {
        switch clause.name {
        case "cbc(aes)":
            try check(clause, takes: Self.aesKeyLengths, plus: 0, "", cursor)
            return .aesCBC(keyBits: clause.key.count * 8)
        case "rfc3686(ctr(aes))":
            let nonceLength = 4
            try check(clause, takes: Self.aesKeyLengths, plus: nonceLength, "nonce", cursor)
            return .aesCTR(keyBits: (clause.key.count - nonceLength) * 8)
        default:
            try check(clause, takes: [0], plus: 0, "", cursor)
            return .null
        }
    }

    /// The integrity algorithm, and its key with the length that it has there.
    private func integrity(
        _ clause: Clause, _ cursor: inout WordCursor
    ) throws(Problem) -> (ESPTransform.Integrity, SecretBytes) {
        // `auth` leaves the truncation to the kernel, which for SHA-256 cuts to the 96 bits of an early draft.
        let (choices, kernelDefault): ([Int: ESPTransform.Integrity], Int) =
            switch clause.name {
            case "hmac(sha256)": ([128: .hmacSHA256_128, 96: .hmacSHA256_96], 96)
            case "hmac(sha384)": ([192: .hmacSHA384_192], 192)
            case "hmac(sha512)": ([256: .hmacSHA512_256], 256)
            default: ([96: .hmacSHA1_96], 96)
            }
        let given = clause.bits ?? kernelDefault
        guard let integrity = choices[given] else {
            let bits = choices.keys.sorted(by: >)
            throw Self.error(
                cursor, clause.keyword,
                "only \(bits.map(String.init).joined(separator: " or ")) bits are supported for \(clause.name), not \(given)",
                "write auth-trunc '\(clause.name)' KEY \(bits[0]) on both sides")
        }
        if integrity == .hmacSHA256_96 {
            cursor.warnAtKeyword(
                clause.keyword, "\(clause.name) is cut to 96 bits, an early draft's length that Linux has by default",
                "write auth-trunc '\(clause.name)' KEY 128 on both sides (RFC 4868)")
        }
        return (integrity, try key(clause, of: integrity, &cursor))
    }

    /// HMAC takes keys of any length: a shorter one is the same as one with zeros behind it (RFC 2104 section 2).
    private func key(
        _ clause: Clause, of integrity: ESPTransform.Integrity, _ cursor: inout WordCursor
    ) throws(Problem) -> SecretBytes {
        let missing = integrity.keyLength - clause.key.count
        if missing == 0 { return clause.key }
        guard missing > 0, clause.key.count > 0 else {
            throw Self.error(
                cursor, clause.keyword,
                "\(clause.name) takes a key of at most \(integrity.keyLength) bytes, got \(clause.key.count)",
                "give 0x and two hexadecimal digits for each byte, as many as RFC 4868 section 2.1.1 says, on both sides"
            )
        }
        cursor.warnAtKeyword(
            clause.keyword, "the key of \(clause.name) has \(clause.key.count) bytes, \(missing) fewer than it should",
            "take \(integrity.keyLength) random bytes (RFC 4868 section 2.1.1)")
        return clause.key.joined(with: SecretBytes(count: missing) { _ in })
    }

    /// Checks the length of a key in bytes, which may have a salt behind it.
    private func check(
        _ clause: Clause, takes lengths: [Int], plus extra: Int, _ name: String, _ cursor: borrowing WordCursor
    ) throws(Problem) {
        guard !lengths.contains(clause.key.count - extra) else { return }
        let expected = lengths.map { String($0 + extra) }.joined(separator: ", ")
        let parts = extra == 0 ? "" : " (of which the last \(extra) are the \(name))"
        throw Self.error(
            cursor, clause.keyword,
            "\(clause.name) takes a key of \(expected) bytes\(parts), got \(clause.key.count)",
            "give 0x and two hexadecimal digits for each byte")
    }
}

extension SecretBytes {
    /// Both, one after the other.
    func joined(with other: SecretBytes) -> SecretBytes {
        withUnsafeBytes { first in
            other.withUnsafeBytes { second in
                SecretBytes(count: first.count + second.count) { target in
                    target.copyMemory(from: first)
                    UnsafeMutableRawBufferPointer(rebasing: target[first.count...]).copyMemory(from: second)
                }
            }
        }
    }
}
