import Packets

/// A bounds-checked position in a message: everything that is read is checked against `end` first.
struct ByteReader {
    private let bytes: [UInt8]
    /// Bytes before the next field.
    private(set) var position: Int
    /// The end of the structure that is being read.
    let end: Int
    let limits: DecodingLimits
    /// True: `bytes` is decrypted content.
    let isInsideEncrypted: Bool
    /// For errors: whose bytes these are.
    var payload: PayloadType?

    init(_ bytes: [UInt8], limits: DecodingLimits, isInsideEncrypted: Bool = false) {
        self.init(bytes, 0..<bytes.count, limits, isInsideEncrypted, nil)
    }

    private init(
        _ bytes: [UInt8], _ range: Range<Int>, _ limits: DecodingLimits, _ isInsideEncrypted: Bool,
        _ payload: PayloadType?
    ) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
        self.limits = limits
        self.isInsideEncrypted = isInsideEncrypted
        self.payload = payload
    }

    var remaining: Int { end - position }
    var isAtEnd: Bool { position == end }

    func failure(_ problem: DecodingFailure.Problem, at offset: Int? = nil) -> DecodingFailure {
        DecodingFailure(
            problem, offset: offset ?? position, payload: payload, isInsideEncrypted: isInsideEncrypted)
    }

    /// A field whose value the RFC rules out; `size` bytes of it were read last.
    func failure(field: String, _ value: Int, size: Int) -> DecodingFailure {
        failure(.value(field: field, value), at: position - size)
    }

    func require(_ count: Int) throws(DecodingFailure) {
        if count > remaining { throw failure(.truncated(needed: count, available: remaining)) }
    }

    /// The structure must have been read to its last byte.
    func requireEnd() throws(DecodingFailure) {
        if !isAtEnd { throw failure(.trailingBytes(remaining)) }
    }

    mutating func uint8() throws(DecodingFailure) -> UInt8 {
        try require(1)
        defer { position += 1 }
        return bytes[position]
    }

    mutating func uint16() throws(DecodingFailure) -> UInt16 { try integer() }
    mutating func uint32() throws(DecodingFailure) -> UInt32 { try integer() }
    mutating func uint64() throws(DecodingFailure) -> UInt64 { try integer() }

    /// An integer in network order.
    private mutating func integer<Integer: FixedWidthInteger>() throws(DecodingFailure) -> Integer {
        let size = Integer.bitWidth / 8
        try require(size)
        var value: Integer = 0
        for byte in bytes[position..<position + size] { value = value << 8 | Integer(byte) }
        position += size
        return value
    }

    /// Reserved fields are ignored on receipt (RFC 7296 section 2.5).
    mutating func skip(_ count: Int) throws(DecodingFailure) {
        try require(count)
        position += count
    }

    mutating func take(_ count: Int) throws(DecodingFailure) -> [UInt8] {
        try require(count)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func takeAll() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    /// A reader of the next `count` bytes, which this one skips.
    mutating func part(_ count: Int) throws(DecodingFailure) -> ByteReader {
        try require(count)
        defer { position += count }
        return ByteReader(bytes, position..<position + count, limits, isInsideEncrypted, payload)
    }

    /// A reader of a structure that starts here and of which `lengthRead` bytes were read before its length was known.
    mutating func rest(of length: Int, lengthRead: Int, field: String) throws(DecodingFailure) -> ByteReader {
        if length < lengthRead { throw failure(field: field, length, size: 2) }
        return try part(length - lengthRead)
    }
}

/// Reason why a message cannot be put into bytes: a count or length beyond its field.
package struct EncodingFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let field: String
    package let value: Int
    package let limit: Int

    package var description: String { "\(field) is \(value), at most \(limit) can be sent" }
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

extension IPAddress {
    /// An address of 4 or 16 bytes in network order; nil when the count is not the family's.
    init?(networkOrder bytes: [UInt8], family: AddressFamily) {
        guard bytes.count == (family == .ipv4 ? 4 : 16) else { return nil }
        let low = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch family {
        case .ipv4: self.init(ipv4: UInt32(truncatingIfNeeded: low))
        case .ipv6: self.init(ipv6High: bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }, low: low)
        }
    }
}

extension ByteReader {
    mutating func address(_ family: AddressFamily) throws(DecodingFailure) -> IPAddress {
        switch family {
        case .ipv4: IPAddress(ipv4: try uint32())
        case .ipv6: IPAddress(ipv6High: try uint64(), low: try uint64())
        }
    }
}

extension ByteWriter {
    mutating func append(_ address: IPAddress) {
        switch address.family {
        case .ipv4: append(UInt32(truncatingIfNeeded: address.low))
        case .ipv6:
            append(address.high)
            append(address.low)
        }
    }
}
