/// Payloads that a message may, must and must not have: RFC 7296 sections 1.2 to 1.5 and appendix C, RFC 6023, 9242 and
/// 9370. Checked before any exchange sees the message.
package enum MessageRules {
    // How many of the payloads that may repeat are taken; the RFCs set no limit. Of those that only inform there may be
    // as many as a message holds (`DecodingLimits`): what is too much of them is passed over (`Message.certificates`).
    private static let certificates = 0...DecodingLimits.standard.payloads
    private static let deletes = 0...16
    private static let notifies = 0...64
    private static let vendorIDs = 0...DecodingLimits.standard.payloads
    private static let optional = 0...1
    private static let one = 1...1

    /// Status notifies and vendor IDs may be anywhere (RFC 7296 sections 3.10.1 and 3.12).
    private static let anywhere = [PayloadRule(.notify, notifies), PayloadRule(.vendorID, vendorIDs)]
    private static let onlyNotifies = [PayloadRule(.notify, 1...64), PayloadRule(.vendorID, vendorIDs)]
    private static let child = [
        PayloadRule(.securityAssociation, one), PayloadRule(.trafficSelectorInitiator, one),
        PayloadRule(.trafficSelectorResponder, one), PayloadRule(.configuration, optional),
    ]
    private static let newChild = child + [PayloadRule(.nonce, one), PayloadRule(.keyExchange, optional)]
    private static let certificateRequests = [PayloadRule(.certificateRequest, certificates)]
    /// AUTH is left out by an initiator that wants EAP.
    private static let initiatorIdentity =
        certificateRequests + [
            PayloadRule(.identificationInitiator, one), PayloadRule(.identificationResponder, optional),
            PayloadRule(.certificate, certificates), PayloadRule(.authentication, optional),
        ]
    private static let responderIdentity = [
        PayloadRule(.identificationResponder, one), PayloadRule(.certificate, certificates),
        PayloadRule(.authentication, one),
    ]
    private static let keyExchange = [
        PayloadRule(.securityAssociation, one), PayloadRule(.keyExchange, one), PayloadRule(.nonce, one),
    ]
    private static let informational = [PayloadRule(.delete, deletes), PayloadRule(.configuration, optional)]

    private static let hasChild = MessageForm.Condition(
        anyOf: [.securityAssociation, .trafficSelectorInitiator, .trafficSelectorResponder])
    private static let always = MessageForm.Condition()
    private static let hasError = MessageForm.Condition(notify: .error)
    private static let isPlain = MessageForm.Condition(isPlain: true)
    private static let isPlainError = MessageForm.Condition(notify: .error, isPlain: true)

    /// Within an exchange and direction the order matters: the first form whose condition is met.
    package static let table: [MessageForm] =
        initial + authentication + createChild + informationals + extensions

    private static let initial: [MessageForm] = [
        form(.initialRequest, .initial, .request, always, keyExchange + anywhere, isEncrypted: false),
        form(
            .cookieDemand, .initial, .response, .init(noneOf: [.securityAssociation], notify: .type(.cookie)),
            onlyNotifies, isEncrypted: false),
        form(
            .initialRefusal, .initial, .response, .init(noneOf: [.securityAssociation], notify: .error),
            onlyNotifies, isEncrypted: false),
        form(
            .initialResponse, .initial, .response, always, keyExchange + certificateRequests + anywhere,
            isEncrypted: false),
    ]

    private static let authentication: [MessageForm] = [
        form(
            .eapRequest, .authentication, .request, .init(anyOf: [.extensibleAuthentication]),
            [PayloadRule(.extensibleAuthentication, one)] + anywhere),
        form(
            .eapFinalRequest, .authentication, .request,
            .init(anyOf: [.authentication], noneOf: [.identificationInitiator]),
            [PayloadRule(.authentication, one)] + anywhere),
        form(.authenticationRequest, .authentication, .request, hasChild, initiatorIdentity + child + anywhere),
        form(
            .childlessAuthenticationRequest, .authentication, .request, always,
            initiatorIdentity + [PayloadRule(.configuration, optional)] + anywhere),

        form(
            .unprotectedRefusal, .authentication, .response, isPlainError, onlyNotifies, isEncrypted: false),
        form(
            .eapResponse, .authentication, .response, .init(anyOf: [.extensibleAuthentication]),
            [
                PayloadRule(.extensibleAuthentication, one), PayloadRule(.identificationResponder, optional),
                PayloadRule(.certificate, certificates), PayloadRule(.authentication, optional),
            ] + anywhere),
        form(
            .authenticationRefusal, .authentication, .response, .init(noneOf: [.authentication], notify: .error),
            [PayloadRule(.identificationResponder, optional), PayloadRule(.certificate, certificates)]
                + onlyNotifies),
        form(
            .eapFinalResponse, .authentication, .response,
            .init(anyOf: hasChild.anyOf, noneOf: [.identificationResponder]),
            [PayloadRule(.authentication, one)] + child + anywhere),
        form(
            .eapFinalResponse, .authentication, .response,
            .init(anyOf: [.authentication], noneOf: [.identificationResponder]),
            [PayloadRule(.authentication, one), PayloadRule(.configuration, optional)] + anywhere),
        form(.authenticationResponse, .authentication, .response, hasChild, responderIdentity + child + anywhere),
        form(
            .childRefusal, .authentication, .response, hasError,
            responderIdentity + [PayloadRule(.configuration, optional)] + onlyNotifies),
        form(
            .childlessAuthenticationResponse, .authentication, .response, always,
            responderIdentity + [PayloadRule(.configuration, optional)] + anywhere),
    ]

    private static let hasSelectors = MessageForm.Condition(
        anyOf: [.trafficSelectorInitiator, .trafficSelectorResponder])

    private static let createChild: [MessageForm] = [
        // Some peers name the IKE SA in a REKEY_SA when they rekey that; what has no selectors is about no child.
        form(
            .rekeyChildRequest, .createChild, .request,
            .init(anyOf: hasSelectors.anyOf, notify: .type(.rekeySA)), newChild + onlyNotifies),
        form(.childRequest, .createChild, .request, hasSelectors, newChild + anywhere),
        form(.rekeyIKERequest, .createChild, .request, always, keyExchange + anywhere),

        form(.unprotectedRefusal, .createChild, .response, isPlainError, onlyNotifies, isEncrypted: false),
        form(
            .createChildRefusal, .createChild, .response,
            .init(noneOf: [.securityAssociation], notify: .error), onlyNotifies),
        form(.childResponse, .createChild, .response, hasSelectors, newChild + anywhere),
        form(.rekeyIKEResponse, .createChild, .response, always, keyExchange + anywhere),
    ]

    private static let informationals: [MessageForm] = [
        form(.unprotectedNotice, .informational, .request, isPlain, onlyNotifies, isEncrypted: false),
        form(.informationalRequest, .informational, .request, always, informational + anywhere),
        form(.unprotectedRefusal, .informational, .response, isPlainError, onlyNotifies, isEncrypted: false),
        form(.informationalResponse, .informational, .response, always, informational + anywhere),
    ]

    private static let extensions: [MessageForm] = [
        form(
            .intermediateRequest, .intermediate, .request, always,
            [PayloadRule(.keyExchange, optional)] + anywhere),
        form(.unprotectedRefusal, .intermediate, .response, isPlainError, onlyNotifies, isEncrypted: false),
        form(
            .intermediateRefusal, .intermediate, .response, .init(noneOf: [.keyExchange], notify: .error),
            onlyNotifies),
        form(
            .intermediateResponse, .intermediate, .response, always,
            [PayloadRule(.keyExchange, optional)] + anywhere),
        form(
            .followUpRequest, .followUpKeyExchange, .request, always,
            [PayloadRule(.keyExchange, one)] + onlyNotifies),
        form(.unprotectedRefusal, .followUpKeyExchange, .response, isPlainError, onlyNotifies, isEncrypted: false),
        form(
            .followUpRefusal, .followUpKeyExchange, .response, .init(noneOf: [.keyExchange], notify: .error),
            onlyNotifies),
        form(
            .followUpResponse, .followUpKeyExchange, .response, always,
            [PayloadRule(.keyExchange, one)] + anywhere),
    ]

    private static func form(
        _ name: MessageForm.Name, _ exchange: ExchangeType, _ direction: IKEHeader.Direction,
        _ condition: MessageForm.Condition, _ rules: [PayloadRule], isEncrypted: Bool = true
    ) -> MessageForm {
        MessageForm(
            name: name, exchange: exchange, direction: direction, condition: condition, isEncrypted: isEncrypted,
            rules: rules)
    }
}

/// Rule for one payload in a form of a message: how often it occurs, and where.
package struct PayloadRule: Hashable, Sendable {
    package let payload: PayloadType
    package let least: Int
    package let most: Int

    init(_ payload: PayloadType, _ count: ClosedRange<Int>) {
        self.payload = payload
        least = count.lowerBound
        most = count.upperBound
    }
}

/// One form that a message of an exchange may have: IKE_AUTH alone has ten. A message has the first form of the table
/// whose condition it meets; then all rules of that form must hold.
package struct MessageForm: Hashable, Sendable {
    package let name: Name
    package let exchange: ExchangeType
    package let direction: IKEHeader.Direction
    package let condition: Condition
    /// True: all payloads must be inside the Encrypted payload. False: there must be no Encrypted payload.
    package let isEncrypted: Bool
    /// Payloads without a rule must not occur, except unknown ones, which are ignored wherever they are.
    package let rules: [PayloadRule]

    /// The condition that tells the forms of an exchange and direction apart.
    package struct Condition: Hashable, Sendable {
        /// At least one of these is there; empty: no matter.
        var anyOf: Set<PayloadType> = []
        /// The payloads of which none is there.
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

    /// The meaning of a message, as far as its payloads tell.
    package enum Name: String, Hashable, Sendable, CaseIterable {
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
