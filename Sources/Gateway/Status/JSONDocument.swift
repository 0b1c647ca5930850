import Telemetry

/// Writes `Encodable` values as JSON without Foundation, which would cost the daemon megabytes of resident memory.
///
/// Keys become snake_case, members keep the order in which they are encoded, and a missing value is left out.
package enum JSONDocument {
    /// The document, ended by a newline when it is indented for reading.
    package static func text(_ value: some Encodable, indented: Bool = true) throws -> String {
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

/// The three containers of `Encoder`, each writing into one node of the tree.
struct JSONEncoderCore: Encoder {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.kind = .object
        return KeyedEncodingContainer(Keyed<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.kind = .array
        return Unkeyed(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        Single(node: node, codingPath: codingPath)
    }

    /// Writes any value into a node; the types that JSON knows are written as such.
    static func write(_ value: some Encodable, to node: JSONNode, path: [any CodingKey]) throws {
        switch value {
        case let text as String: node.scalar = JSONText.string(text)
        case let flag as Bool: node.scalar = flag ? "true" : "false"
        case let number as Double: node.scalar = try finite(number, path)
        case let number as Float: node.scalar = try finite(Double(number), path)
        case let number as any BinaryInteger: node.scalar = "\(number)"
        default: try value.encode(to: JSONEncoderCore(node: node, codingPath: path))
        }
    }

    private static func finite(_ number: Double, _ path: [any CodingKey]) throws -> String {
        guard number.isFinite else {
            throw EncodingError.invalidValue(
                number, .init(codingPath: path, debugDescription: "JSON has no infinities and no NaN"))
        }
        return number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
    }
}

extension JSONEncoderCore {
    struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let node: JSONNode
        let codingPath: [any CodingKey]

        private func member(_ key: any CodingKey) -> JSONNode {
            let child = JSONNode()
            node.members.append((JSONDocument.snakeCase(key.stringValue), child))
            return child
        }

        func encodeNil(forKey key: Key) { _ = member(key) }

        func encode(_ value: some Encodable, forKey key: Key) throws {
            try JSONEncoderCore.write(value, to: member(key), path: codingPath + [key])
        }

        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) -> KeyedEncodingContainer<Nested> {
            JSONEncoderCore(node: member(key), codingPath: codingPath + [key]).container(keyedBy: type)
        }

        func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            JSONEncoderCore(node: member(key), codingPath: codingPath + [key]).unkeyedContainer()
        }

        func superEncoder() -> any Encoder { JSONEncoderCore(node: node, codingPath: codingPath) }

        func superEncoder(forKey key: Key) -> any Encoder {
            JSONEncoderCore(node: member(key), codingPath: codingPath + [key])
        }
    }

    struct Unkeyed: UnkeyedEncodingContainer {
        let node: JSONNode
        let codingPath: [any CodingKey]

        var count: Int { node.elements.count }

        private func element() -> JSONNode {
            let child = JSONNode()
            node.elements.append(child)
            return child
        }

        func encodeNil() { _ = element() }

        func encode(_ value: some Encodable) throws {
            try JSONEncoderCore.write(value, to: element(), path: codingPath)
        }

        func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
            JSONEncoderCore(node: element(), codingPath: codingPath).container(keyedBy: type)
        }

        func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
            JSONEncoderCore(node: element(), codingPath: codingPath).unkeyedContainer()
        }

        func superEncoder() -> any Encoder { JSONEncoderCore(node: element(), codingPath: codingPath) }
    }

    struct Single: SingleValueEncodingContainer {
        let node: JSONNode
        let codingPath: [any CodingKey]

        func encodeNil() { node.scalar = "null" }

        func encode(_ value: some Encodable) throws {
            try JSONEncoderCore.write(value, to: node, path: codingPath)
        }
    }
}
