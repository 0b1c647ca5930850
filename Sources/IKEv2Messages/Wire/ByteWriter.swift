/// Why a message cannot be put into bytes: a count or length beyond its field.
public struct EncodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let field: String
    public let value: Int
    public let limit: Int

    public var description: String { "\(field) is \(value), at most \(limit) can be sent" }
}

/// Grows a message in network order. Lengths are patched in after what they measure has been written, so that no size
/// is computed twice.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }

    mutating func append(_ value: UInt8) { bytes.append(value) }
    mutating func append(_ value: UInt16) { appendInteger(value) }
    mutating func append(_ value: UInt32) { appendInteger(value) }
    mutating func append(_ value: UInt64) { appendInteger(value) }
    mutating func append(_ data: [UInt8]) { bytes.append(contentsOf: data) }
    mutating func append(zeros count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    private mutating func appendInteger<Integer: FixedWidthInteger>(_ value: Integer) {
        for shift in stride(from: Integer.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func append(count value: Int, of field: String) throws(EncodingFailure) {
        guard let byte = UInt8(exactly: value) else {
            throw EncodingFailure(field: field, value: value, limit: Int(UInt8.max))
        }
        append(byte)
    }

    mutating func append(length value: Int, of field: String) throws(EncodingFailure) {
        guard let length = UInt16(exactly: value) else {
            throw EncodingFailure(field: field, value: value, limit: Int(UInt16.max))
        }
        append(length)
    }

    /// Writes the length of all since `start` into the two bytes at `offset`.
    mutating func patchLength(since start: Int, at offset: Int, of field: String) throws(EncodingFailure) {
        let length = count - start
        guard length <= Int(UInt16.max) else {
            throw EncodingFailure(field: field, value: length, limit: Int(UInt16.max))
        }
        patch(UInt16(truncatingIfNeeded: length), at: offset)
    }

    mutating func patch(_ value: UInt8, at offset: Int) { bytes[offset] = value }

    mutating func patch(_ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    mutating func patch(_ value: UInt32, at offset: Int) {
        patch(UInt16(truncatingIfNeeded: value >> 16), at: offset)
        patch(UInt16(truncatingIfNeeded: value), at: offset + 2)
    }
}
