import Packets

/// The words of one command, read from left to right.
struct WordCursor {
    let file: String
    private let words: [Word]
    private var index = 0
    /// An algorithm's key lies in the words just read: what follows may be a piece of it, and is never shown.
    var isBehindKey = false
    /// Things that are wrong without hindering the reading of the rest.
    var errors: [Problem] = []
    var warnings: [Problem] = []

    init(file: String, words: [Word]) {
        self.file = file
        self.words = words
    }

    var peek: Word? { index < words.count ? words[index] : nil }

    mutating func skip() { index += 1 }

    /// Steps over the next word if it is `text`.
    mutating func take(_ text: StaticString) -> Word? {
        guard let word = peek, word == text else { return nil }
        skip()
        return word
    }

    /// The value behind `key`.
    mutating func value(of key: Word, _ what: String) throws(Problem) -> Word {
        guard let word = peek else {
            throw XfrmAlgorithms.error(self, key, "\(what) is missing", "write it after the word; see ip-xfrm(8)")
        }
        skip()
        return word
    }

    // MARK: Values

    /// A number in decimal, hexadecimal (0x…) or octal (0…), as `ip` reads them.
    mutating func number<Number: FixedWidthInteger>(
        of key: Word, _ what: String, in range: ClosedRange<Number> = Number.min...Number.max
    ) throws(Problem) -> Number {
        let word = try value(of: key, what)
        guard let number = Self.number(word.text, as: Number.self), range.contains(number) else {
            throw error(
                word, "not a valid \(what) for '\(key.text)'",
                "give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func number<Number: FixedWidthInteger>(_ text: String, as _: Number.Type) -> Number? {
        guard let first = text.utf8.first, first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") else { return nil }
        if text.hasPrefix("0x") || text.hasPrefix("0X") { return Self.digits(text.dropFirst(2), radix: 16) }
        if text.hasPrefix("0"), text.utf8.count > 1 { return Self.digits(text.dropFirst(), radix: 8) }
        return digits(text[...], radix: 10)
    }

    private static func digits<Number: FixedWidthInteger>(_ text: Substring, radix: Int) -> Number? {
        guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return Number(text, radix: radix)
    }

    mutating func address(of key: Word) throws(Problem) -> IPAddress {
        let word = try value(of: key, "an IP address")
        guard let address = IPAddress(word.text) else {
            throw error(word, "not an IP address", "write it as 192.0.2.1 or 2001:db8::1; names are not looked up")
        }
        return address
    }

    /// A prefix; nil for "any", "all" and "default", which are of either family.
    mutating func prefix(of key: Word) throws(Problem) -> IPPrefix? {
        let word = try value(of: key, "an address or a prefix")
        if word == "any" || word == "all" || word == "default" { return nil }
        guard let prefix = IPPrefix(word.text) else {
            throw error(
                word, "not an address or a prefix",
                "write it as 192.0.2.0/24 or 2001:db8::/32")
        }
        return prefix
    }

    // MARK: Problems

    func error(_ word: Word, _ reason: String, _ remedy: String) -> Problem {
        Problem(
            .error, SourceLocation(file: file, line: word.line, column: word.column), word: shown(word),
            reason, remedy: remedy)
    }

    mutating func report(_ word: Word, _ reason: String, _ remedy: String) {
        errors.append(error(word, reason, remedy))
    }

    mutating func warn(_ word: Word, _ reason: String, _ remedy: String) {
        warnings.append(
            Problem(
                .warning, SourceLocation(file: file, line: word.line, column: word.column), word: shown(word),
                reason, remedy: remedy))
    }

    /// A warning at a keyword, which is shown also behind a key.
    mutating func warnAtKeyword(_ word: Word, _ reason: String, _ remedy: String) {
        warnings.append(
            Problem(
                .warning, SourceLocation(file: file, line: word.line, column: word.column), word: word.text,
                reason, remedy: remedy))
    }

    /// The word as it may be shown: not behind a key, and nothing that looks like one.
    func shown(_ word: Word) -> String? {
        if isBehindKey { return nil }
        let text = word.text
        // Of all words of the language only addresses are longer, and no prefix is longer than this.
        let (longestWord, longestPrefix) = (24, 43)
        let isAddress = text.utf8.allSatisfy(Self.isAddressByte)
        guard text.utf8.count <= (isAddress ? longestPrefix : longestWord) else { return nil }
        if text.hasPrefix("0x"), text.utf8.count > 18 { return nil }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        return text
    }

    /// Hexadecimal digits, and what separates them in addresses.
    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        case UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "/"): true
        default: false
        }
    }
}
