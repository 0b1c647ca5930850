/// Content behind a generic payload header. SK and SKF are no `Payload`: they are how a message carries its payloads
/// (``EncryptedPart``).
package enum Payload: Hashable, Sendable {
    case securityAssociation(SecurityAssociationPayload)
    case keyExchange(KeyExchangePayload)
    case identificationInitiator(IdentificationPayload)
    case identificationResponder(IdentificationPayload)
    case certificate(CertificatePayload)
    case certificateRequest(CertificateRequestPayload)
    case authentication(AuthenticationPayload)
    case nonce(NoncePayload)
    case notify(NotifyPayload)
    case delete(DeletePayload)
    case vendorID(VendorIDPayload)
    case trafficSelectorInitiator(TrafficSelectorPayload)
    case trafficSelectorResponder(TrafficSelectorPayload)
    case configuration(ConfigurationPayload)
    case extensibleAuthentication(EAPPayload)
    /// Skipped, as RFC 7296 section 2.5 wants, but kept for logs. Its critical bit was clear.
    case unknown(UnknownPayload)

    package var type: PayloadType {
        switch self {
        case .securityAssociation: .securityAssociation
        case .keyExchange: .keyExchange
        case .identificationInitiator: .identificationInitiator
        case .identificationResponder: .identificationResponder
        case .certificate: .certificate
        case .certificateRequest: .certificateRequest
        case .authentication: .authentication
        case .nonce: .nonce
        case .notify: .notify
        case .delete: .delete
        case .vendorID: .vendorID
        case .trafficSelectorInitiator: .trafficSelectorInitiator
        case .trafficSelectorResponder: .trafficSelectorResponder
        case .configuration: .configuration
        case .extensibleAuthentication: .extensibleAuthentication
        case .unknown(let payload): payload.type
        }
    }

    var body: any PayloadBody {
        switch self {
        case .securityAssociation(let body): body
        case .keyExchange(let body): body
        case .identificationInitiator(let body), .identificationResponder(let body): body
        case .certificate(let body): body
        case .certificateRequest(let body): body
        case .authentication(let body): body
        case .nonce(let body): body
        case .notify(let body): body
        case .delete(let body): body
        case .vendorID(let body): body
        case .trafficSelectorInitiator(let body), .trafficSelectorResponder(let body): body
        case .configuration(let body): body
        case .extensibleAuthentication(let body): body
        case .unknown(let body): body
        }
    }

    /// Reads the body of a payload of `type` to the end of `reader`; nil: the type is unknown here.
    init?(type: PayloadType, from reader: inout ByteReader) throws(DecodingFailure) {
        switch type {
        case .securityAssociation: self = .securityAssociation(try .init(from: &reader))
        case .keyExchange: self = .keyExchange(try .init(from: &reader))
        case .identificationInitiator: self = .identificationInitiator(try .init(from: &reader))
        case .identificationResponder: self = .identificationResponder(try .init(from: &reader))
        case .certificate: self = .certificate(try .init(from: &reader))
        case .certificateRequest: self = .certificateRequest(try .init(from: &reader))
        case .authentication: self = .authentication(try .init(from: &reader))
        case .nonce: self = .nonce(try .init(from: &reader))
        case .notify: self = .notify(try .init(from: &reader))
        case .delete: self = .delete(try .init(from: &reader))
        case .vendorID: self = .vendorID(try .init(from: &reader))
        case .trafficSelectorInitiator: self = .trafficSelectorInitiator(try .init(from: &reader))
        case .trafficSelectorResponder: self = .trafficSelectorResponder(try .init(from: &reader))
        case .configuration: self = .configuration(try .init(from: &reader))
        case .extensibleAuthentication: self = .extensibleAuthentication(try .init(from: &reader))
        default: return nil
        }
        try reader.requireEnd()
    }
}

/// Content that follows the generic payload header of one payload type.
protocol PayloadBody {
    /// Reads the body; whoever calls checks that `reader` is then at its end.
    init(from reader: inout ByteReader) throws(DecodingFailure)
    func encode(into writer: inout ByteWriter) throws(EncodingFailure)
}

/// V: a constant that tells implementations apart (RFC 7296 section 3.12). Unfamiliar ones are ignored.
package struct VendorIDPayload: Hashable, Sendable {
    package var data: [UInt8]

    package init(_ data: [UInt8]) { self.data = data }
}

extension VendorIDPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) { data = reader.takeAll() }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(data) }
}

/// EAP: one EAP message, opaque here (RFC 7296 section 3.16).
package struct EAPPayload: Hashable, Sendable {
    package var message: [UInt8]

    package init(_ message: [UInt8]) { self.message = message }
}

extension EAPPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) { message = reader.takeAll() }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(message) }
}

/// A payload whose type is unknown here (RFC 7296 section 2.5).
package struct UnknownPayload: Hashable, Sendable {
    package let type: PayloadType
    package let data: [UInt8]

    package init(type: PayloadType, data: [UInt8]) {
        self.type = type
        self.data = data
    }
}

extension UnknownPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(type: reader.payload ?? .none, data: reader.takeAll())
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) { writer.append(data) }
}
