/// Which part of a message a fragment is (RFC 7383 section 2.5).
public struct FragmentPosition: Hashable, Sendable, CustomStringConvertible {
    /// Bytes on the wire.
    static let length = 4

    /// From 1.
    public let number: UInt16
    /// At least `number`.
    public let total: UInt16

    /// Nil unless 1 ≤ number ≤ total.
    public init?(number: UInt16, total: UInt16) {
        guard number >= 1, number <= total else { return nil }
        self.number = number
        self.total = total
    }

    /// A position that cannot be must be silently discarded (RFC 7383 section 2.6).
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.uint16()
        if number == 0 { throw reader.failure(field: "fragment number", 0, size: 2) }
        total = try reader.uint16()
        if total < number { throw reader.failure(field: "total fragments", Int(total), size: 2) }
    }

    func encode(into writer: inout ByteWriter) {
        writer.append(number)
        writer.append(total)
    }

    public var description: String { "\(number)/\(total)" }
}
