import CLibCrypto

/// Distinguished names as they are written: "C=CH, O=Example, CN=moon", also with slashes in front of the parts.
///
/// Types are short names, long names or object identifiers. A part may have several values: "CN=moon + UID=17"; a "+"
/// without a type that is known behind it belongs to the value. As RFC 4514 has it, a backslash takes the next character
/// literally, or two hexadecimal digits as a byte, and "#" begins a value in DER.
enum DistinguishedNameText {
    struct Attribute {
        /// The name of the attribute's type, as libcrypto knows it.
        let type: String
        let value: [UInt8]
        /// The ASN.1 type of the value; nil: text, whatever string type fits.
        let stringType: Int32?
        /// False: it is one more value of the part before.
        let isFirstOfPart: Bool
    }

    /// One byte of the text, and whether it has its ordinary meaning.
    private typealias Letter = (byte: UInt8, isEscaped: Bool)

    /// The attributes of a name's text; nil for empty text, and for parts without "=".
    static func attributes(of text: String) -> [Attribute]? {
        let slashes = text.hasPrefix("/")
        guard let letters = letters(slashes ? text.dropFirst() : text[...]) else { return nil }
        var attributes: [Attribute] = []
        for part in split(letters[...], at: slashes ? "/" : ",") {
            for (index, value) in values(of: part).enumerated() {
                guard let attribute = attribute(value, isFirstOfPart: index == 0) else { return nil }
                attributes.append(attribute)
            }
        }
        return attributes.isEmpty ? nil : attributes
    }

    /// The letters of a text, escaped ones marked; nil when a backslash is the last one.
    private static func letters(_ text: Substring) -> [Letter]? {
        var letters: [Letter] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                letters.append((byte, false))
                continue
            }
            guard let next = rest.popFirst() else { return nil }
            if let high = digit(next), let low = rest.first.flatMap(digit) {
                rest.removeFirst()
                letters.append((high << 4 | low, true))
            } else {
                letters.append((next, true))
            }
        }
        return letters
    }

    private static func digit(_ byte: UInt8) -> UInt8? { Character(UnicodeScalar(byte)).hexDigitValue.map(UInt8.init) }

    private static func split(_ letters: ArraySlice<Letter>, at separator: Unicode.Scalar) -> [ArraySlice<Letter>] {
        letters.split(omittingEmptySubsequences: false) { !$0.isEscaped && $0.byte == UInt8(ascii: separator) }
    }

    /// The values of a part: cut at each "+" that has a known type and "=" behind it.
    private static func values(of part: ArraySlice<Letter>) -> [ArraySlice<Letter>] {
        var values: [ArraySlice<Letter>] = []
        for piece in split(part, at: "+") {
            if let last = values.last, type(of: piece) == nil {
                values[values.count - 1] = part[last.startIndex..<piece.endIndex]
            } else {
                values.append(piece)
            }
        }
        return values
    }

    private static func attribute(_ letters: ArraySlice<Letter>, isFirstOfPart: Bool) -> Attribute? {
        guard let type = type(of: letters), let equals = letters.firstIndex(where: isEquals) else { return nil }
        let value = trim(letters[(equals + 1)...])
        guard let first = value.first else { return nil }
        let bytes = value.map(\.byte)
        guard first.byte == UInt8(ascii: "#"), !first.isEscaped, let (tag, content) = element(bytes.dropFirst()) else {
            return Attribute(type: type, value: bytes, stringType: nil, isFirstOfPart: isFirstOfPart)
        }
        return Attribute(type: type, value: content, stringType: tag, isFirstOfPart: isFirstOfPart)
    }

    /// Before the first "="; nil when there is none, or libcrypto does not know the type.
    private static func type(of letters: ArraySlice<Letter>) -> String? {
        guard let equals = letters.firstIndex(where: isEquals) else { return nil }
        let name = libraryType(String(decoding: trim(letters[..<equals]).map(\.byte), as: UTF8.self))
        guard !name.isEmpty, let object = OBJ_txt2obj(name, 0) else {
            ERR_clear_error()
            return nil
        }
        ASN1_OBJECT_free(object)
        return name
    }

    private static func isEquals(_ letter: Letter) -> Bool { !letter.isEscaped && letter.byte == UInt8(ascii: "=") }

    /// The letters without the blanks around them that are not escaped.
    private static func trim(_ letters: ArraySlice<Letter>) -> ArraySlice<Letter> {
        let isBlank = { (letter: Letter) in letter.byte == UInt8(ascii: " ") && !letter.isEscaped }
        var letters = letters.drop(while: isBlank)
        while let last = letters.last, isBlank(last) { letters.removeLast() }
        return letters
    }

    /// Tag number and content of a primitive DER element in hexadecimal digits.
    private static func element(_ digits: ArraySlice<UInt8>) -> (tag: Int32, content: [UInt8])? {
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var rest = digits
        while let high = rest.popFirst(), let low = rest.popFirst() {
            guard let high = digit(high), let low = digit(low) else { return nil }
            bytes.append(high << 4 | low)
        }
        guard bytes.count >= 2, bytes[0] < 0x1f, bytes[1] < 0x80, bytes.count == 2 + Int(bytes[1]) else { return nil }
        return (Int32(bytes[0]), Array(bytes[2...]))
    }

    /// "E" and its kin are common in configurations, but not libcrypto's.
    private static func libraryType(_ type: String) -> String {
        switch type.uppercased() {
        case "E", "EMAIL": "emailAddress"
        case "G": "GN"
        case "S", "ST": "ST"
        case "C", "O", "L", "CN", "OU", "SN", "DC", "GN", "UID": type.uppercased()
        default: type
        }
    }
}
