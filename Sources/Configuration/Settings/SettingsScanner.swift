import Packets

/// Walks over the bytes of a settings file, and counts lines.
struct SettingsScanner {
    let bytes: UnsafeRawBufferPointer
    private var offset = 0
    private(set) var line = 1
    private var lineStart = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The column in bytes, from 1 on.
    var column: Int { offset - lineStart + 1 }
    var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    /// The byte behind `peek`.
    var peekSecond: UInt8? { offset + 1 < bytes.count ? bytes[offset + 1] : nil }

    mutating func advance() {
        guard let byte = peek else { return }
        offset += 1
        if byte == UInt8(ascii: "\n") {
            line += 1
            lineStart = offset
        }
    }

    /// Some editors put one before the text.
    mutating func skipByteOrderMark() {
        if offset == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        advance()
        return true
    }

    mutating func skipBlanks() {
        while let byte = peek, Self.isBlank(byte) { advance() }
    }

    mutating func skipComment() {
        guard peek == UInt8(ascii: "#") else { return }
        while let byte = peek, byte != UInt8(ascii: "\n") { advance() }
    }

    /// The rest of the line, as far as a placeholder may go.
    var restOfLine: UnsafeRawBufferPointer {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[min(offset, bytes.count)...].prefix(256))
        return UnsafeRawBufferPointer(rebasing: rest.prefix { $0 != UInt8(ascii: "\n") })
    }

    /// Over blanks, comments and line ends.
    mutating func skipLines() {
        while true {
            skipBlanks()
            skipComment()
            guard take(UInt8(ascii: "\n")) else { return }
        }
    }

    /// A name of a section or key; nil when none begins here.
    mutating func name() -> String? {
        let start = offset
        while let byte = peek, Self.isName(byte) { advance() }
        guard offset > start else { return nil }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    /// Printable, and none of `. , : { } = " #`; bytes of letters beyond ASCII too.
    static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, 0x7F: false
        case UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "{"), UInt8(ascii: "}"),
            UInt8(ascii: "="), UInt8(ascii: "\""), UInt8(ascii: "#"):
            false
        default: true
        }
    }

    /// Letters, digits, hyphens and underscores of ASCII.
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Whether a byte may be part of a word of a value.
    static func isValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "#"), UInt8(ascii: "}"), UInt8(ascii: "\""), UInt8(ascii: "\n"): false
        default: !isBlank(byte)
        }
    }
}

/// A search for values that nobody means as they are written: placeholders of templates, and two settings in one line.
enum ValueFaults {
    /// The length of the placeholder that `text` begins with, in bytes; nil when it begins with none: `{{ peer }}`,
    /// `{% if x %}` or `${PEER}`.
    static func placeholder(_ text: UnsafeRawBufferPointer) -> Int? {
        let (open, close, percent) = (UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "%"))
        guard text.count > 2 else { return nil }
        switch (text[0], text[1]) {
        case (open, open): return length(text, upTo: close, close)
        case (open, percent): return length(text, upTo: percent, close)
        case (UInt8(ascii: "$"), open): return text.firstIndex(of: close).map { $0 + 1 }
        default: return nil
        }
    }

    private static func length(_ text: UnsafeRawBufferPointer, upTo first: UInt8, _ second: UInt8) -> Int? {
        text.indices.dropFirst(3).first { text[$0 - 1] == first && text[$0] == second }.map { $0 + 1 }
    }

    /// - Parameter placeholder: nil: it may be a piece of a secret.
    static func unfilled(_ placeholder: String?) -> SettingsSection.Value.Fault {
        SettingsSection.Value.Fault(
            word: placeholder,
            problem: Problem(
                placeholder == nil ? "the value looks like a placeholder" : "looks like a placeholder",
                remedy: "write the value in its place, or put it between quotes if it is meant so"))
    }

    /// - Parameter words: of the value, those between quotes left empty.
    static func secondSetting(_ words: [String]) -> SettingsSection.Value.Fault? {
        if words.last?.hasSuffix(";") == true {
            return SettingsSection.Value.Fault(
                word: words.last,
                problem: Problem(
                    "';' does not end a setting and is a part of the value",
                    remedy: "leave it out: a setting ends with its line"))
        }
        for (index, word) in words.enumerated().dropFirst() {
            let name = word.prefix { $0 != "=" }
            let isAssigned = name.count < word.count || (index + 1 < words.count && words[index + 1].hasPrefix("="))
            guard isAssigned, SettingsManual.all.contains(String(name)) else { continue }
            let isSeparated = words[index - 1].hasSuffix(";")
            return SettingsSection.Value.Fault(
                word: "\(name) =",
                problem: Problem(
                    isSeparated
                        ? "';' does not separate settings: this is a part of the value before it"
                        : "a setting ends with its line: this is a part of the value before it",
                    remedy: "write '\(name) = …' on a line of its own" + (isSeparated ? ", without the ';'" : "")))
        }
        return nil
    }
}
