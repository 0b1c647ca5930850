/// JSON strings without Foundation (RFC 8259 section 7). Used by logs and by `--json` output.
public enum JSONText {
    /// Appends `text` quoted and escaped.
    public static func appendString(_ text: String, to output: inout String) {
        output += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            // U+2028 and U+2029 are legal JSON, but end a line for many readers of log files.
            case "\u{0}"..."\u{1F}", "\u{7F}", "\u{80}"..."\u{9F}", "\u{2028}", "\u{2029}":
                output += "\\u" + hexadecimal(scalar.value)
            default: output.unicodeScalars.append(scalar)
            }
        }
        output += "\""
    }

    /// `text` quoted and escaped.
    public static func string(_ text: String) -> String {
        var output = ""
        appendString(text, to: &output)
        return output
    }

    fileprivate static func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

/// Keeps a text line one line, and free of terminal control sequences that a peer may have put into a name.
enum TextEscape {
    static func append(_ text: String, to output: inout String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}", "\u{80}"..."\u{9F}", "\u{2028}", "\u{2029}":
                output += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: output.unicodeScalars.append(scalar)
            }
        }
    }

    /// A metadata value: bare when it is one plain word, else as a JSON string.
    static func appendValue(_ text: String, to output: inout String) {
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0 != "\\" }
        if isPlain && !text.isEmpty { append(text, to: &output) } else { JSONText.appendString(text, to: &output) }
    }
}
