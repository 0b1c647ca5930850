#if canImport(Glibc)
    import Glibc
#endif

/// One word of a batch line. Its bytes may be a key: they lie in the text's scratch memory, which is zeroed.
struct Word {
    /// Valid while the text is being parsed.
    let bytes: UnsafeRawBufferPointer
    let line: Int
    /// The column in bytes, from 1 on.
    let column: Int

    /// The word as text. Not for key material.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    static func == (word: Word, text: StaticString) -> Bool {
        let expected = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        return word.bytes.elementsEqual(expected)
    }
}

/// A command with the number of its first line.
struct BatchLine {
    let line: Int
    let words: [Word]
}

/// Cuts a batch file into words as `ip -batch` does.
///
/// 1. `#` starts a comment, wherever it stands, even between quotes.
/// 2. A backslash at the end of a line joins the next line to it, also in the middle of a word.
/// 3. Words are separated by blanks. A word that begins with ' or " ends with the same character, and has no escapes.
struct BatchText: ~Copyable {
    /// Files are small; this bound keeps arithmetic and memory within reason.
    static let maximumLength = 16 * 1024 * 1024

    private let scratch: UnsafeMutableRawBufferPointer
    private(set) var lines: [BatchLine] = []
    /// The place of a quote that is never closed.
    private(set) var unterminatedQuotes: [(line: Int, column: Int, hasComment: Bool)] = []

    private var filled = 0

    init(_ text: UnsafeRawBufferPointer) {
        scratch = .allocate(byteCount: max(text.count, 1), alignment: 1)
        var reader = Reader(text: text)
        while let line = readLine(&reader) {
            if !line.words.isEmpty { lines.append(line) }
        }
    }

    deinit {
        if let base = scratch.baseAddress { explicit_bzero(base, scratch.count) }
        scratch.deallocate()
    }

    /// The next line with its continuations; nil at the end.
    private mutating func readLine(_ reader: inout Reader) -> BatchLine? {
        guard !reader.isAtEnd else { return nil }
        var words: [Word] = []
        let first = reader.line
        while true {
            reader.skipBlanks()
            let (line, column) = (reader.line, reader.column)
            guard let byte = reader.next() else { break }
            let start = filled
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                guard readQuoted(&reader, quote: byte) else {
                    unterminatedQuotes.append((line, column, reader.hasComment))
                    // The line is not usable; what follows it is.
                    words = []
                    break
                }
            } else {
                store(byte)
                while let more = reader.nextInWord() { store(more) }
            }
            words.append(
                Word(bytes: UnsafeRawBufferPointer(rebasing: scratch[start..<filled]), line: line, column: column))
        }
        reader.endLine()
        return BatchLine(line: first, words: words)
    }

    private mutating func readQuoted(_ reader: inout Reader, quote: UInt8) -> Bool {
        while let byte = reader.next() {
            if byte == quote { return true }
            store(byte)
        }
        return false
    }

    private mutating func store(_ byte: UInt8) {
        // Never more bytes than the text has.
        guard filled < scratch.count else { return }
        scratch[filled] = byte
        filled += 1
    }
}

/// Walks over the bytes of one joined line after the other.
private struct Reader {
    let text: UnsafeRawBufferPointer
    private var offset = 0
    private(set) var line = 1
    private(set) var column = 1
    /// The line was cut short by a `#`.
    private(set) var hasComment = false

    init(text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { offset >= text.count }

    /// The next byte of the line; nil at its end. Steps over continuations.
    mutating func next() -> UInt8? {
        while let byte = peek(0) {
            if byte == UInt8(ascii: "\n") { return nil }
            if byte == UInt8(ascii: "#") {
                hasComment = true
                return nil
            }
            if byte == UInt8(ascii: "\\"), let length = continuationLength {
                offset += length
                line += 1
                column = 1
                continue
            }
            offset += 1
            column += 1
            return byte
        }
        return nil
    }

    /// The next byte if it is not a blank.
    mutating func nextInWord() -> UInt8? {
        let before = self
        guard let byte = next() else { return nil }
        if Self.isBlank(byte) {
            self = before
            return nil
        }
        return byte
    }

    mutating func skipBlanks() {
        while true {
            let before = self
            guard let byte = next() else { return }
            if !Self.isBlank(byte) {
                self = before
                // A continuation may lie in between; the word begins behind it.
                while let length = continuationLength, peek(0) == UInt8(ascii: "\\") {
                    offset += length
                    line += 1
                    column = 1
                }
                return
            }
        }
    }

    /// Goes behind the end of the line, over what a comment hides.
    mutating func endLine() {
        while let byte = peek(0) {
            offset += 1
            if byte == UInt8(ascii: "\n") { break }
        }
        line += 1
        column = 1
        hasComment = false
    }

    /// Length of a backslash and a line end at the current place.
    private var continuationLength: Int? {
        if peek(1) == UInt8(ascii: "\n") { return 2 }
        if peek(1) == UInt8(ascii: "\r"), peek(2) == UInt8(ascii: "\n") { return 3 }
        return nil
    }

    private func peek(_ distance: Int) -> UInt8? {
        offset + distance < text.count ? text[offset + distance] : nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}

/// The words before `xfrm` in scripts: `sudo ip`, `ip -6`, `ip -n NS`, `ip netns exec NS ip`.
struct CommandPrefix {
    /// The network namespace that is named; nil: none.
    private(set) var namespace: String?

    /// Options of `ip` that change nothing about states and policies.
    private static let options: Set<String> = [
        "-4", "-6", "-s", "-d", "-force", "-family", "-f", "-o", "-oneline", "-stats", "-statistics", "-details",
    ]

    /// Steps over it.
    init(_ cursor: inout WordCursor) {
        if cursor.take("sudo") != nil {
            while let word = cursor.peek, word.bytes.first == UInt8(ascii: "-") { cursor.skip() }
        }
        while cursor.take("ip") != nil || cursor.take("/sbin/ip") != nil || cursor.take("/usr/sbin/ip") != nil {
            readOptions(&cursor)
            guard cursor.take("netns") != nil else { break }
            _ = cursor.take("exec")
            namespace = cursor.peek?.text
            cursor.skip()
        }
    }

    private mutating func readOptions(_ cursor: inout WordCursor) {
        while let word = cursor.peek {
            if word == "-n" || word == "-netns" {
                cursor.skip()
                namespace = cursor.peek?.text
                cursor.skip()
            } else if Self.options.contains(word.text) {
                cursor.skip()
                if word == "-f" || word == "-family" { cursor.skip() }
            } else {
                break
            }
        }
    }
}
