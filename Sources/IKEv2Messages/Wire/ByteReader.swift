/// A bounds-checked position in a message: everything that is read is checked against `end` first.
struct ByteReader {
    private let bytes: [UInt8]
    /// Bytes before the next field.
    private(set) var position: Int
    /// Where the structure that is being read ends.
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
