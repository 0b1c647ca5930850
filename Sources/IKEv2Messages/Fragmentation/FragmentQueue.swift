/// The fragments of one message that have come so far.
struct FragmentQueue: Sendable {
    /// What only the first fragment brings.
    struct First: Sendable {
        let header: IKEHeader
        let payloads: [Payload]
        let firstPayload: PayloadType
    }

    let total: UInt16
    var first: First?
    private(set) var storedBytes = 0
    private(set) var missing: Int
    /// By number - 1.
    private var contents: [[UInt8]?]

    init(total: UInt16) {
        self.total = total
        missing = Int(total)
        contents = Array(repeating: nil, count: Int(total))
    }

    /// `number` is from 1 to `total`.
    func has(_ number: UInt16) -> Bool { contents[Int(number) - 1] != nil }

    mutating func insert(_ content: [UInt8], at number: UInt16) {
        contents[Int(number) - 1] = content
        storedBytes += content.count
        missing -= 1
    }

    func complete() -> ReassembledContent? {
        guard missing == 0, let first else { return nil }
        return ReassembledContent(
            header: first.header, payloads: first.payloads, firstPayload: first.firstPayload,
            content: Array(contents.compactMap(\.self).joined()), fragments: Int(total))
    }
}

/// All fragments of a message, joined, but not decoded.
public struct ReassembledContent: Hashable, Sendable {
    public let header: IKEHeader
    /// The payloads before the Encrypted payload.
    public let payloads: [Payload]
    public let firstPayload: PayloadType
    /// The content of the Encrypted payload.
    public let content: [UInt8]
    /// How many they were.
    public let fragments: Int

    /// From here on it is a message like any other; what fails is authentic, and may be answered.
    public func message(limits: DecodingLimits = .standard) throws(DecodingFailure) -> Message {
        try Message(
            header: header, payloads: payloads, firstEncrypted: firstPayload, content: content, limits: limits)
    }
}
