import Foundation

/// A JSON document, read by path: `status["sas"][0]["packets"].int`. What is absent reads as null.
public struct JSON: CustomStringConvertible {
    /// The value as `JSONSerialization` gives it; nil for null and for what is absent.
    public let value: Any?

    public init(_ text: String) throws {
        value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }

    /// No value.
    public static var null: JSON { JSON(value: nil) }

    init(value: Any?) { self.value = value }

    public subscript(key: String) -> JSON { JSON(value: (value as? [String: Any])?[key]) }

    public subscript(index: Int) -> JSON {
        let list = array
        return list.indices.contains(index) ? list[index] : JSON(value: nil)
    }

    public var array: [JSON] { (value as? [Any])?.map { JSON(value: $0) } ?? [] }
    public var object: [String: JSON] { (value as? [String: Any])?.mapValues { JSON(value: $0) } ?? [:] }
    public var int: Int? { (value as? NSNumber)?.intValue }
    public var double: Double? { (value as? NSNumber)?.doubleValue }
    public var string: String? { value as? String }
    public var bool: Bool? { (value as? NSNumber)?.boolValue }

    public var description: String {
        guard let value, let data = try? JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed)
        else {
            return "null"
        }
        return String(decoding: data, as: UTF8.self)
    }
}
