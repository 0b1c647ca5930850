/// Text as clients of libvici can show it: to them a value with anything but printable ASCII is binary, and `swanctl`
/// prints nothing of it.
enum PlainText {
    /// A line's end becomes a semicolon; characters that ASCII lacks become the nearest that it has, or "?", as in
    /// strongSwan's own answers.
    static func of(_ text: String) -> String {
        // Most text is plain already.
        guard text.utf8.contains(where: { !(0x20...0x7E).contains($0) }) else { return text }
        var plain = ""
        for character in text {
            switch character {
            case " "..."~": plain.append(character)
            case "\n", "\r\n": plain += "; "
            case "\t": plain += " "
            case "…": plain += "..."
            case "×": plain += "x"
            case "–", "—": plain += "-"
            default: plain += "?"
            }
        }
        return plain
    }
}
