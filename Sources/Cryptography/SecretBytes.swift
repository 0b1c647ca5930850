import CLibCrypto

/// Key material: fixed bytes in memory that is locked, left out of core dumps and zeroed when the last reference goes.
///
/// It never prints its content, neither through `description` nor through reflection.
public final class SecretBytes: Sendable {
    /// Number of secret bytes.
    public let count: Int
    // Written before `init` returns, only read afterwards.
    private nonisolated(unsafe) let storage: UnsafeMutableRawPointer

    /// `count` bytes that `initialize` writes (they start as zeros).
    public init(count: Int, initializingWith initialize: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        precondition(count >= 0, "negative count")
        self.count = count
        storage = SecretMemory.allocate(byteCount: count)
        try initialize(UnsafeMutableRawBufferPointer(start: storage, count: count))
    }

    /// A copy; the source stays as it is, so its owner has to zero it.
    public convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// A copy; the source stays as it is. For tests and for values that were public anyway.
    public convenience init(copying bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// Takes the bytes over: the array is zeroed and emptied.
    public convenience init(consuming bytes: inout [UInt8]) {
        self.init(copying: bytes)
        bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        bytes.removeAll()
    }

    /// Reads hexadecimal digits (no prefix, either case); nil when the number of digits is odd or one is no digit.
    public convenience init?(hexadecimal digits: some StringProtocol) {
        let text = digits.utf8
        guard text.count.isMultiple(of: 2) else { return nil }
        var valid = true
        self.init(count: text.count / 2) { bytes in
            for (index, digit) in text.enumerated() {
                guard let value = Self.nibble(digit) else {
                    valid = false
                    return
                }
                bytes[index / 2] = bytes[index / 2] << 4 | value
            }
        }
        if !valid { return nil }
    }

    /// `count` bytes from the library's private random generator.
    public static func random(count: Int) throws(CryptographyError) -> SecretBytes {
        var status: Int32 = 0
        let secret = SecretBytes(count: count) { status = RAND_priv_bytes_ex(nil, $0.baseAddress, $0.count, 0) }
        guard status == 1 else { throw libraryError("RAND_priv_bytes_ex") }
        return secret
    }

    /// Lends the bytes. Whoever copies them has to zero the copy.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: storage, count: count))
    }

    /// A secret copy of `range`, which must lie within the bytes.
    public subscript(range: Range<Int>) -> SecretBytes {
        withUnsafeBytes { SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    deinit { SecretMemory.deallocate(storage, byteCount: count) }
}

extension SecretBytes: Equatable {
    /// Compares in time that depends on the lengths only.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left.storage, right.storage, left.count) == 0
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The length, never the content.
    public var description: String { "<\(count) secret bytes>" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
