/// A whole IKEv2 message in the clear.
public struct Message: Hashable, Sendable {
    public var header: IKEHeader
    /// The payloads outside the Encrypted payload: all of them in IKE_SA_INIT.
    public var payloads: [Payload]
    /// The content of the Encrypted payload, which is the last one; nil when there is none.
    public var encryptedPayloads: [Payload]?

    public init(header: IKEHeader, payloads: [Payload] = [], encryptedPayloads: [Payload]? = nil) {
        self.header = header
        self.payloads = payloads
        self.encryptedPayloads = encryptedPayloads
    }

    /// Outside and inside, in the order of the message.
    public var allPayloads: [Payload] { payloads + (encryptedPayloads ?? []) }

    /// The bytes of a message without an Encrypted payload. One that has `encryptedPayloads` is sealed instead.
    public func encoded() throws(EncodingFailure) -> [UInt8] {
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
    public var securityAssociation: SecurityAssociationPayload? {
        first { if case .securityAssociation(let body) = $0 { body } else { nil } }
    }

    public var keyExchange: KeyExchangePayload? {
        first { if case .keyExchange(let body) = $0 { body } else { nil } }
    }

    public var identificationInitiator: IdentificationPayload? {
        first { if case .identificationInitiator(let body) = $0 { body } else { nil } }
    }

    public var identificationResponder: IdentificationPayload? {
        first { if case .identificationResponder(let body) = $0 { body } else { nil } }
    }

    /// The certificates of one message that are looked at; a chain is shorter, and the others are passed over.
    static let mostCertificates = 16

    public var certificates: [CertificatePayload] {
        Array(all { if case .certificate(let body) = $0 { body } else { nil } }.prefix(Self.mostCertificates))
    }

    public var certificateRequests: [CertificateRequestPayload] {
        all { if case .certificateRequest(let body) = $0 { body } else { nil } }
    }

    public var authentication: AuthenticationPayload? {
        first { if case .authentication(let body) = $0 { body } else { nil } }
    }

    public var nonce: NoncePayload? {
        first { if case .nonce(let body) = $0 { body } else { nil } }
    }

    public var notifies: [NotifyPayload] {
        all { if case .notify(let body) = $0 { body } else { nil } }
    }

    public var deletes: [DeletePayload] {
        all { if case .delete(let body) = $0 { body } else { nil } }
    }

    public var vendorIDs: [VendorIDPayload] {
        all { if case .vendorID(let body) = $0 { body } else { nil } }
    }

    public var trafficSelectorInitiator: TrafficSelectorPayload? {
        first { if case .trafficSelectorInitiator(let body) = $0 { body } else { nil } }
    }

    public var trafficSelectorResponder: TrafficSelectorPayload? {
        first { if case .trafficSelectorResponder(let body) = $0 { body } else { nil } }
    }

    public var configuration: ConfigurationPayload? {
        first { if case .configuration(let body) = $0 { body } else { nil } }
    }

    public var extensibleAuthentication: EAPPayload? {
        first { if case .extensibleAuthentication(let body) = $0 { body } else { nil } }
    }

    /// The first notify of `type`.
    public func notify(_ type: NotifyType) -> NotifyPayload? { notifies.first { $0.type == type } }

    public func has(_ type: NotifyType) -> Bool { notify(type) != nil }

    /// The first error notify: known or not, in a response it means that the request has failed (RFC 7296
    /// section 3.10.1).
    public var errorNotify: NotifyPayload? { notifies.first { $0.type.isError } }

    private func first<Body>(_ body: (Payload) -> Body?) -> Body? {
        for payload in payloads { if let found = body(payload) { return found } }
        for payload in encryptedPayloads ?? [] { if let found = body(payload) { return found } }
        return nil
    }

    private func all<Body>(_ body: (Payload) -> Body?) -> [Body] { allPayloads.compactMap(body) }
}
