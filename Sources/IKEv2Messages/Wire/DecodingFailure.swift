/// Reason why bytes are not an IKEv2 message, and the place of it.
package struct DecodingFailure: Error, Hashable, Sendable {
    package enum Problem: Hashable, Sendable {
        /// A field needs more bytes than its structure has left.
        case truncated(needed: Int, available: Int)
        /// The length in the IKE header is not the length of the datagram.
        case messageLength(declared: Int, actual: Int)
        /// The message is not IKEv2 (RFC 7296 section 2.5).
        case majorVersion(UInt8)
        /// The sender insists on a payload that is unknown here (RFC 7296 section 2.5).
        case unsupportedCriticalPayload(PayloadType)
        /// Bytes follow where the structure says it has ended.
        case trailingBytes(Int)
        /// An Encrypted payload must be the last of its message (RFC 7296 section 3.1).
        case encryptedPayloadNotLast
        /// An Encrypted payload inside an Encrypted payload (RFC 7296 section 3.1).
        case encryptedPayloadNested
        /// A field holds a value that the RFC rules out.
        case value(field: String, Int)
        /// More elements than this implementation takes (``DecodingLimits``).
        case tooMany(field: String, limit: Int)
    }

    package let problem: Problem
    /// Bytes before the offending field: from the start of the message, or, when `isInsideEncrypted`, from the start of
    /// the decrypted content.
    package let offset: Int
    /// The payload that was being read; nil in the IKE header.
    package let payload: PayloadType?
    package let isInsideEncrypted: Bool

    package init(_ problem: Problem, offset: Int, payload: PayloadType? = nil, isInsideEncrypted: Bool = false) {
        self.problem = problem
        self.offset = offset
        self.payload = payload
        self.isInsideEncrypted = isInsideEncrypted
    }

    /// The notify that RFC 7296 (sections 2.5, 2.21 and 3.10.1) wants told to the sender, where anything may be told at
    /// all.
    package var answer: NotifyPayload {
        switch problem {
        case .unsupportedCriticalPayload(let type):
            NotifyPayload(.unsupportedCriticalPayload, data: [type.rawValue])
        case .majorVersion:
            NotifyPayload(.invalidMajorVersion)
        default:
            NotifyPayload(.invalidSyntax)
        }
    }
}

extension DecodingFailure: CustomStringConvertible {
    package var description: String {
        let place = payload.map { "payload \($0)" } ?? "IKE header"
        let origin = isInsideEncrypted ? "decrypted byte" : "byte"
        return "\(place), \(origin) \(offset): \(problem)"
    }
}

extension DecodingFailure.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let needed, let available): "\(needed) bytes needed, \(available) there"
        case .messageLength(let declared, let actual): "length says \(declared), the datagram has \(actual) bytes"
        case .majorVersion(let version): "major version \(version)"
        case .unsupportedCriticalPayload(let type): "unsupported critical payload \(type)"
        case .trailingBytes(let count): "\(count) bytes too many"
        case .encryptedPayloadNotLast: "something follows the Encrypted payload"
        case .encryptedPayloadNested: "an Encrypted payload inside another"
        case .value(let field, let value): "\(field) must not be \(value)"
        case .tooMany(let field, let limit): "more than \(limit) \(field)"
        }
    }
}

/// Limits of what is taken from one message. Decoding is linear in the size of a message anyway; these bound what
/// later steps have to look through. Number fields of one byte (transforms, SPIs, selectors) bound themselves.
package struct DecodingLimits: Hashable, Sendable {
    /// Bytes of a datagram or of decrypted content.
    package var messageBytes = 65_535
    /// Payloads outside, and again inside, the Encrypted payload.
    package var payloads = 128
    /// Proposals of one SA payload.
    package var proposals = 64
    /// Transforms of one SA payload, all proposals together.
    package var transforms = 1024
    /// Attributes of one transform; only one is defined.
    package var transformAttributes = 8
    /// Attributes of one Configuration payload.
    package var configurationAttributes = 256

    package init() {}

    package static let standard = DecodingLimits()
}
