/// A message that decodes, but is none of its exchange.
public struct RuleViolation: Error, Hashable, Sendable {
    public enum Rule: Hashable, Sendable {
        /// No rules for this exchange: it is not supported.
        case unsupportedExchange
        case atLeast(Int, found: Int)
        case atMost(Int, found: Int)
        /// The payload has no place in this message.
        case notAllowed
        /// It was outside the Encrypted payload; with payload SK: the message had none.
        case mustBeEncrypted
        /// An Encrypted payload where there are no keys yet.
        case mustNotBeEncrypted
        /// A field of the IKE header that the exchange fixes (RFC 7296 sections 2.2 and 3.1).
        case header(String)
    }

    public let exchange: ExchangeType
    public let direction: IKEHeader.Direction
    /// The form that the message was taken for; nil when it was not even compared.
    public let form: MessageForm.Name?
    /// The offending payload; nil when it is the header.
    public let payload: PayloadType?
    public let rule: Rule

    /// The header or the protection of the message is wrong, not only what an exchange makes of its content.
    public var isOfHeaderOrProtection: Bool {
        switch rule {
        case .header, .mustBeEncrypted, .mustNotBeEncrypted: true
        case .unsupportedExchange, .atLeast, .atMost, .notAllowed: false
        }
    }

    /// What the peer is told, where anything may be told at all.
    public var answer: NotifyPayload { NotifyPayload(.invalidSyntax) }
}

extension RuleViolation: CustomStringConvertible {
    public var description: String {
        let form = form.map { " (\($0.rawValue))" } ?? ""
        let payload = payload.map { "payload \($0) " } ?? ""
        return "\(exchange) \(direction.rawValue)\(form): \(payload)\(rule)"
    }
}

extension RuleViolation.Rule: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedExchange: "this exchange is not supported"
        case .atLeast(let least, let found): "must occur at least \(least) times, found \(found)"
        case .atMost(let most, let found): "may occur at most \(most) times, found \(found)"
        case .notAllowed: "is not allowed here"
        case .mustBeEncrypted: "must be encrypted"
        case .mustNotBeEncrypted: "must not be encrypted"
        case .header(let field): "the header has a wrong \(field)"
        }
    }
}
