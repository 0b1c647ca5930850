import Telemetry

/// Writes `Encodable` values as JSON without Foundation, which would cost the daemon megabytes of resident memory.
///
/// Keys become snake_case, members keep the order in which they are encoded, and a missing value is left out.
public enum JSONDocument {
    /// The document, ended by a newline when it is indented for reading.
    public static func text(_ value: some Encodable, indented: Bool = true) throws -> String {
        let root = JSONNode()
        try value.encode(to: JSONEncoderCore(node: root, codingPath: []))
        var output = ""
        root.write(to: &output, indentation: indented ? 0 : nil)
        return indented ? output + "\n" : output
    }

    /// `xdpMode` becomes `xdp_mode`.
    static func snakeCase(_ name: String) -> String {
        var output = ""
        for character in name {
            if character.isUppercase { output += "_" + character.lowercased() } else { output.append(character) }
        }
        return output
    }
}

/// A JSON value under construction.
final class JSONNode {
    enum Kind {
        case scalar, array, object
    }

    var kind = Kind.scalar
    /// The JSON text of a scalar; `null` until something is encoded.
    var scalar = "null"
    var elements: [JSONNode] = []
    var members: [(key: String, value: JSONNode)] = []

    func write(to output: inout String, indentation: Int?) {
        switch kind {
        case .scalar: output += scalar
        case .array:
            Self.write(elements, "[", "]", to: &output, indentation) { $0.write(to: &$1, indentation: $2) }
        case .object:
            Self.write(members, "{", "}", to: &output, indentation) { member, output, indentation in
                JSONText.appendString(member.key, to: &output)
                output += indentation == nil ? ":" : ": "
                member.value.write(to: &output, indentation: indentation)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element], _ open: String, _ close: String, to output: inout String, _ indentation: Int?,
        element: (Element, inout String, Int?) -> Void
    ) {
        guard !elements.isEmpty else {
            output += open + close
            return
        }
        let inner = indentation.map { $0 + 2 }
        output += open
        for (index, item) in elements.enumerated() {
            if index > 0 { output += "," }
            if let inner { output += "\n" + String(repeating: " ", count: inner) }
            element(item, &output, inner)
        }
        if let indentation { output += "\n" + String(repeating: " ", count: indentation) }
        output += close
    }
}
