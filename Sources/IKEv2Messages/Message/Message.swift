/// A whole IKEv2 message in the clear.
package struct Message: Hashable, Sendable {
    package var header: IKEHeader
    /// The payloads outside the Encrypted payload: all of them in IKE_SA_INIT.
    package var payloads: [Payload]
    /// The content of the Encrypted payload, which is the last one; nil when there is none.
    package var encryptedPayloads: [Payload]?

    package init(header: IKEHeader, payloads: [Payload] = [], encryptedPayloads: [Payload]? = nil) {
        self.header = header
        self.payloads = payloads
        self.encryptedPayloads = encryptedPayloads
    }

    /// Outside and inside, in the order of the message.
    package var allPayloads: [Payload] { payloads + (encryptedPayloads ?? []) }

    /// The bytes of a message without an Encrypted payload. One that has `encryptedPayloads` is sealed instead.
    package func encoded() throws(EncodingFailure) -> [UInt8] {
        if let count = encryptedPayloads?.count {
            throw EncodingFailure(field: "number of payloads to encrypt", value: count, limit: 0)
        }
        var writer = ByteWriter()
        header.encode(into: &writer, firstPayload: payloads.first?.type ?? .none)
        try PayloadChain.encode(payloads, into: &writer)
        writer.patch(UInt32(truncatingIfNeeded: writer.count), at: IKEHeader.lengthOffset)
        return writer.bytes
    }
}

// What an exchange asks of a message. For payloads that may occur once it is the first; the message rules, checked
// before, say that there is no second.
extension Message {
    package var securityAssociation: SecurityAssociationPayload? {
        first { if case .securityAssociation(let body) = $0 { body } else { nil } }
    }

    package var keyExchange: KeyExchangePayload? {
        first { if case .keyExchange(let body) = $0 { body } else { nil } }
    }

    package var identificationInitiator: IdentificationPayload? {
        first { if case .identificationInitiator(let body) = $0 { body } else { nil } }
    }

    package var identificationResponder: IdentificationPayload? {
        first { if case .identificationResponder(let body) = $0 { body } else { nil } }
    }

    /// The certificates of one message that are looked at; a chain is shorter, and the others are passed over.
    static let mostCertificates = 16

    package var certificates: [CertificatePayload] {
        Array(all { if case .certificate(let body) = $0 { body } else { nil } }.prefix(Self.mostCertificates))
    }

    package var certificateRequests: [CertificateRequestPayload] {
        all { if case .certificateRequest(let body) = $0 { body } else { nil } }
    }

    package var authentication: AuthenticationPayload? {
        first { if case .authentication(let body) = $0 { body } else { nil } }
    }

    package var nonce: NoncePayload? {
        first { if case .nonce(let body) = $0 { body } else { nil } }
    }

    package var notifies: [NotifyPayload] {
        all { if case .notify(let body) = $0 { body } else { nil } }
    }

    package var deletes: [DeletePayload] {
        all { if case .delete(let body) = $0 { body } else { nil } }
    }

    package var vendorIDs: [VendorIDPayload] {
        all { if case .vendorID(let body) = $0 { body } else { nil } }
    }

    package var trafficSelectorInitiator: TrafficSelectorPayload? {
        first { if case .trafficSelectorInitiator(let body) = $0 { body } else { nil } }
    }

    package var trafficSelectorResponder: TrafficSelectorPayload? {
        first { if case .trafficSelectorResponder(let body) = $0 { body } else { nil } }
    }

    package var configuration: ConfigurationPayload? {
        first { if case .configuration(let body) = $0 { body } else { nil } }
    }

    package var extensibleAuthentication: EAPPayload? {
        first { if case .extensibleAuthentication(let body) = $0 { body } else { nil } }
    }

    /// The first notify of `type`.
    package func notify(_ type: NotifyType) -> NotifyPayload? { notifies.first { $0.type == type } }

    package func has(_ type: NotifyType) -> Bool { notify(type) != nil }

    /// The first error notify: known or not, in a response it means that the request has failed (RFC 7296
    /// section 3.10.1).
    package var errorNotify: NotifyPayload? { notifies.first { $0.type.isError } }

    private func first<Body>(_ body: (Payload) -> Body?) -> Body? {
        for payload in payloads { if let found = body(payload) { return found } }
        for payload in encryptedPayloads ?? [] { if let found = body(payload) { return found } }
        return nil
    }

    private func all<Body>(_ body: (Payload) -> Body?) -> [Body] { allPayloads.compactMap(body) }
}
