extension MessageRules {
    /// The form of a message that obeys the rules, or the first rule that it breaks.
    public static func check(_ message: Message) throws(RuleViolation) -> MessageForm {
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
