import Packets

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
