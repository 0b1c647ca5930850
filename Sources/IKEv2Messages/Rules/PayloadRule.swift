/// How often a payload occurs in a form of a message, and where.
public struct PayloadRule: Hashable, Sendable {
    public let payload: PayloadType
    public let least: Int
    public let most: Int

    init(_ payload: PayloadType, _ count: ClosedRange<Int>) {
        self.payload = payload
        least = count.lowerBound
        most = count.upperBound
    }
}

/// One form that a message of an exchange may have: IKE_AUTH alone has ten. A message has the first form of the table
/// whose condition it meets; then all rules of that form must hold.
public struct MessageForm: Hashable, Sendable {
    public let name: Name
    public let exchange: ExchangeType
    public let direction: IKEHeader.Direction
    public let condition: Condition
    /// True: all payloads must be inside the Encrypted payload. False: there must be no Encrypted payload.
    public let isEncrypted: Bool
    /// Payloads without a rule must not occur, except unknown ones, which are ignored wherever they are.
    public let rules: [PayloadRule]

    /// What tells the forms of an exchange and direction apart.
    public struct Condition: Hashable, Sendable {
        /// At least one of these is there; empty: no matter.
        var anyOf: Set<PayloadType> = []
        /// None of these is there.
        var noneOf: Set<PayloadType> = []
        /// Such a notify is there.
        var notify: NotifyClass?
        /// The message has no Encrypted payload.
        var isPlain = false

        enum NotifyClass: Hashable, Sendable {
            case error
            case type(NotifyType)
        }

        func isMet(by message: Message, types: Set<PayloadType>) -> Bool {
            if isPlain && message.encryptedPayloads != nil { return false }
            if !anyOf.isEmpty && anyOf.isDisjoint(with: types) { return false }
            if !noneOf.isDisjoint(with: types) { return false }
            return switch notify {
            case nil: true
            case .error: message.errorNotify != nil
            case .type(let type): message.has(type)
            }
        }
    }

    /// What a message means, as far as its payloads tell.
    public enum Name: String, Hashable, Sendable, CaseIterable {
        // IKE_SA_INIT
        case initialRequest, initialResponse, cookieDemand, initialRefusal
        // IKE_AUTH
        case authenticationRequest, childlessAuthenticationRequest, eapRequest, eapFinalRequest
        case authenticationResponse, childlessAuthenticationResponse, childRefusal, eapResponse
        /// AUTH without IDr: legal only behind EAP, which the exchange knows.
        case eapFinalResponse
        case authenticationRefusal
        // CREATE_CHILD_SA
        case childRequest, childResponse, rekeyChildRequest, rekeyIKERequest, rekeyIKEResponse, createChildRefusal
        // The others
        case informationalRequest, informationalResponse
        case intermediateRequest, intermediateResponse, intermediateRefusal
        case followUpRequest, followUpResponse, followUpRefusal
        /// Outside of any IKE SA (RFC 7296 section 1.5): a hint that anybody can forge.
        case unprotectedNotice, unprotectedRefusal
    }
}
