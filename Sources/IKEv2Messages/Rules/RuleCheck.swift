extension MessageRules {
    /// The form of a message that obeys the rules, or the first rule that it breaks.
    package static func check(_ message: Message) throws(RuleViolation) -> MessageForm {
        let header = message.header
        let types = Set(message.allPayloads.map(\.type))
        let candidates = table.filter { $0.exchange == header.exchange && $0.direction == header.direction }
        guard let form = candidates.first(where: { $0.condition.isMet(by: message, types: types) }) else {
            throw violation(of: .unsupportedExchange, message, form: nil, payload: nil)
        }
        try checkHeader(message, form)
        try checkProtection(message, form)
        try checkCounts(message, form)
        return form
    }

    private static func checkHeader(_ message: Message, _ form: MessageForm) throws(RuleViolation) {
        let header = message.header
        func require(_ isRight: Bool, _ field: String) throws(RuleViolation) {
            if !isRight { throw violation(of: .header(field), message, form: form, payload: nil) }
        }
        // Its SPIs mean nothing (RFC 7296 section 1.5).
        if form.name == .unprotectedNotice { return }
        try require(header.initiatorSPI != 0, "initiator SPI: 0")
        switch header.exchange {
        case .initial:
            let isRequest = header.direction == .request
            try require(header.messageID == 0, "message ID: not 0")
            try require(header.isFromInitiator == isRequest, "initiator flag")
            // A refusal makes no IKE SA, so it may come without a responder SPI (RFC 7296 section 2.6).
            try require(!isRequest || header.responderSPI == 0, "responder SPI: not 0")
            try require(form.name != .initialResponse || header.responderSPI != 0, "responder SPI: 0")
        case .authentication, .intermediate:
            try require(header.messageID != 0, "message ID: 0")
            try require(header.isFromInitiator == (header.direction == .request), "initiator flag")
            try require(header.responderSPI != 0, "responder SPI: 0")
        default:
            try require(header.responderSPI != 0, "responder SPI: 0")
        }
    }

    private static func checkProtection(_ message: Message, _ form: MessageForm) throws(RuleViolation) {
        if !form.isEncrypted {
            if message.encryptedPayloads != nil {
                throw violation(of: .mustNotBeEncrypted, message, form: form, payload: .encrypted)
            }
            return
        }
        for payload in message.payloads {
            if case .unknown = payload { continue }
            throw violation(of: .mustBeEncrypted, message, form: form, payload: payload.type)
        }
        if message.encryptedPayloads == nil {
            throw violation(of: .mustBeEncrypted, message, form: form, payload: .encrypted)
        }
    }

    private static func checkCounts(_ message: Message, _ form: MessageForm) throws(RuleViolation) {
        var counts: [PayloadType: Int] = [:]
        for payload in message.allPayloads {
            if case .unknown = payload { continue }
            counts[payload.type, default: 0] += 1
        }
        for rule in form.rules {
            let found = counts.removeValue(forKey: rule.payload) ?? 0
            if found < rule.least {
                throw violation(
                    of: .atLeast(rule.least, found: found), message, form: form, payload: rule.payload)
            }
            if found > rule.most {
                throw violation(of: .atMost(rule.most, found: found), message, form: form, payload: rule.payload)
            }
        }
        // Of several, the first of the message, so that one message always fails in the same way.
        if let stray = message.allPayloads.first(where: { counts[$0.type] != nil }) {
            throw violation(of: .notAllowed, message, form: form, payload: stray.type)
        }
    }

    private static func violation(
        of rule: RuleViolation.Rule, _ message: Message, form: MessageForm?, payload: PayloadType?
    ) -> RuleViolation {
        RuleViolation(
            exchange: message.header.exchange, direction: message.header.direction, form: form?.name,
            payload: payload, rule: rule)
    }
}

/// A message that decodes, but is none of its exchange.
package struct RuleViolation: Error, Hashable, Sendable {
    package enum Rule: Hashable, Sendable {
        /// No rules for this exchange: it is not supported.
        case unsupportedExchange
        case atLeast(Int, found: Int)
        case atMost(Int, found: Int)
        /// The payload has no place in this message.
        case notAllowed
        /// The payload was outside the Encrypted payload; with payload SK: the message had none.
        case mustBeEncrypted
        /// An Encrypted payload where there are no keys yet.
        case mustNotBeEncrypted
        /// A field of the IKE header that the exchange fixes (RFC 7296 sections 2.2 and 3.1).
        case header(String)
    }

    package let exchange: ExchangeType
    package let direction: IKEHeader.Direction
    /// The form that the message was taken for; nil when it was not even compared.
    package let form: MessageForm.Name?
    /// The offending payload; nil when it is the header.
    package let payload: PayloadType?
    package let rule: Rule

    /// The header or the protection of the message is wrong, not only what an exchange makes of its content.
    package var isOfHeaderOrProtection: Bool {
        switch rule {
        case .header, .mustBeEncrypted, .mustNotBeEncrypted: true
        case .unsupportedExchange, .atLeast, .atMost, .notAllowed: false
        }
    }

    /// The notify for the peer, where anything may be told at all.
    package var answer: NotifyPayload { NotifyPayload(.invalidSyntax) }
}

extension RuleViolation: CustomStringConvertible {
    package var description: String {
        let form = form.map { " (\($0.rawValue))" } ?? ""
        let payload = payload.map { "payload \($0) " } ?? ""
        return "\(exchange) \(direction.rawValue)\(form): \(payload)\(rule)"
    }
}

extension RuleViolation.Rule: CustomStringConvertible {
    package var description: String {
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
