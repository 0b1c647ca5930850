import Cryptography

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
    mutating func read(_ keyword: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) {
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

    private func readName(_ keyword: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) -> String {
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
    private func readKey(_ keyword: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) -> SecretBytes {
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
                ConfigurationProblem(
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
    ) -> ConfigurationProblem {
        ConfigurationProblem(
            .error, SourceLocation(file: cursor.file, line: word.line, column: word.column), word: word.text,
            reason, remedy: remedy)
    }
}
