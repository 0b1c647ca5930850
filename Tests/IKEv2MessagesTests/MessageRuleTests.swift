import Packets
import Testing

@testable import IKEv2Messages

/// The least body of each payload type that a rule may name.
private func samplePayload(_ type: PayloadType) -> Payload? {
    let selector = AddressRangeSelector(
        firstAddress: IPAddress(ipv4: 0), lastAddress: IPAddress(ipv4: .max)
    ).map { TrafficSelectorPayload([.range($0)]) }
    let identity = IdentificationPayload(type: .keyID, data: [1])
    switch type {
    case .securityAssociation:
        return .securityAssociation(
            .init([Proposal(number: 1, protocolID: .ike, transforms: [.keyExchange(.curve25519)])]))
    case .keyExchange: return .keyExchange(KeyExchangePayload(method: .curve25519, data: [1]))
    case .identificationInitiator: return .identificationInitiator(identity)
    case .identificationResponder: return .identificationResponder(identity)
    case .certificate: return .certificate(CertificatePayload(encoding: .x509Signature, data: [1]))
    case .certificateRequest: return .certificateRequest(CertificateRequestPayload(authorities: []))
    case .authentication: return .authentication(AuthenticationPayload(method: .sharedKey, data: [1]))
    case .nonce: return .nonce(NoncePayload(Array(repeating: 1, count: 16)))
    case .notify: return .notify(NotifyPayload(.initialContact))
    case .delete: return .delete(.ikeSA)
    case .vendorID: return .vendorID(VendorIDPayload([1]))
    case .trafficSelectorInitiator: return selector.map { .trafficSelectorInitiator($0) }
    case .trafficSelectorResponder: return selector.map { .trafficSelectorResponder($0) }
    case .configuration: return .configuration(ConfigurationPayload(type: .request))
    case .extensibleAuthentication: return .extensibleAuthentication(EAPPayload([1]))
    default: return nil
    }
}

private let refusal = Payload.notify(NotifyPayload(.noProposalChosen))

private func message(
    _ exchange: ExchangeType, _ direction: IKEHeader.Direction, _ payloads: [Payload], encrypted: Bool? = nil
) -> Message {
    let isInitial = exchange == .initial
    let header = IKEHeader(
        initiatorSPI: 1, responderSPI: isInitial && direction == .request ? 0 : 2, exchange: exchange,
        direction: direction, isFromInitiator: direction == .request, messageID: isInitial ? 0 : 1)
    return (encrypted ?? !isInitial)
        ? Message(header: header, encryptedPayloads: payloads) : Message(header: header, payloads: payloads)
}

private func message(
    _ exchange: ExchangeType, _ direction: IKEHeader.Direction, of types: [PayloadType], and more: [Payload] = []
) -> Message {
    message(exchange, direction, types.compactMap(samplePayload) + more)
}

/// RFC 7296 appendix C, exchange by exchange.
private let legal: [(MessageForm.Name, Message)] = {
    let keys: [PayloadType] = [.securityAssociation, .keyExchange, .nonce]
    let child: [PayloadType] = [.securityAssociation, .trafficSelectorInitiator, .trafficSelectorResponder]
    let rekey = Payload.notify(NotifyPayload(.rekeySA, protocolID: .esp, childSPI: 1))
    let cookie = Payload.notify(NotifyPayload(.cookie, data: [1]))
    let idI: [PayloadType] = [.identificationInitiator]
    let idR: [PayloadType] = [.identificationResponder, .authentication]
    return [
        (.initialRequest, message(.initial, .request, of: keys, and: [cookie])),
        (.initialResponse, message(.initial, .response, of: keys + [.certificateRequest])),
        (.cookieDemand, message(.initial, .response, of: [], and: [cookie])),
        (.initialRefusal, message(.initial, .response, of: [], and: [refusal])),
        (
            .authenticationRequest,
            message(.authentication, .request, of: idI + [.certificate, .certificate, .authentication] + child)
        ),
        (.authenticationRequest, message(.authentication, .request, of: idI + child)),
        (.childlessAuthenticationRequest, message(.authentication, .request, of: idI + [.authentication])),
        (.eapRequest, message(.authentication, .request, of: [.extensibleAuthentication])),
        (.eapFinalRequest, message(.authentication, .request, of: [.authentication])),
        (.authenticationResponse, message(.authentication, .response, of: idR + child + [.configuration])),
        (.childlessAuthenticationResponse, message(.authentication, .response, of: idR)),
        (.childRefusal, message(.authentication, .response, of: idR, and: [refusal])),
        (.authenticationRefusal, message(.authentication, .response, of: [], and: [refusal])),
        (.eapResponse, message(.authentication, .response, of: idR + [.extensibleAuthentication])),
        (.eapResponse, message(.authentication, .response, of: [.extensibleAuthentication])),
        (.eapFinalResponse, message(.authentication, .response, of: [.authentication] + child)),
        (.eapFinalResponse, message(.authentication, .response, of: [.authentication])),
        (.childRequest, message(.createChild, .request, of: child + [.nonce])),
        (.childRequest, message(.createChild, .request, of: child + [.nonce, .keyExchange])),
        (.rekeyChildRequest, message(.createChild, .request, of: child + [.nonce], and: [rekey])),
        (.rekeyIKERequest, message(.createChild, .request, of: keys)),
        (.childResponse, message(.createChild, .response, of: child + [.nonce])),
        (.rekeyIKEResponse, message(.createChild, .response, of: keys)),
        (.createChildRefusal, message(.createChild, .response, of: [], and: [refusal])),
        (.informationalRequest, message(.informational, .request, of: [])),
        (.informationalRequest, message(.informational, .request, of: [.delete, .delete, .notify])),
        (.informationalResponse, message(.informational, .response, of: [.delete])),
        (.unprotectedNotice, message(.informational, .request, [refusal], encrypted: false)),
        (.unprotectedRefusal, message(.informational, .response, [refusal], encrypted: false)),
        (.unprotectedRefusal, message(.authentication, .response, [refusal], encrypted: false)),
        (.unprotectedRefusal, message(.createChild, .response, [refusal], encrypted: false)),
        (.intermediateRequest, message(.intermediate, .request, of: [.keyExchange])),
        (.intermediateResponse, message(.intermediate, .response, of: [.keyExchange])),
        (.intermediateRefusal, message(.intermediate, .response, of: [], and: [refusal])),
        (.followUpRequest, message(.followUpKeyExchange, .request, of: [.keyExchange, .notify])),
        (.followUpResponse, message(.followUpKeyExchange, .response, of: [.keyExchange])),
        (.followUpRefusal, message(.followUpKeyExchange, .response, of: [], and: [refusal])),
    ]
}()

@Suite("Message rules")
struct MessageRuleTests {
    @Test("every message of the RFC is known for what it is", arguments: legal.indices)
    func legalMessages(index: Int) throws {
        let (name, message) = legal[index]
        #expect(try MessageRules.check(message).name == name)
        // Vendor IDs, unknown status notifies and unknown payloads anywhere, and any order.
        var more = message
        let extra: [Payload] = [
            .vendorID(VendorIDPayload([1])), .notify(NotifyPayload(NotifyType(rawValue: 40_000))),
            .unknown(UnknownPayload(type: PayloadType(rawValue: 200), data: [])),
        ]
        if more.encryptedPayloads != nil {
            more.encryptedPayloads = extra + (message.encryptedPayloads ?? []).reversed()
        } else {
            more.payloads = extra + message.payloads.reversed()
        }
        #expect(try MessageRules.check(more).name == name)
    }

    @Test("every form is reached by one of them")
    func allForms() {
        #expect(Set(legal.map(\.0)) == Set(MessageForm.Name.allCases))
        #expect(Set(MessageRules.table.map(\.name)) == Set(MessageForm.Name.allCases))
    }

    @Test("a payload too many names itself and its limit", arguments: legal.indices)
    func tooMany(index: Int) throws {
        let (name, message) = legal[index]
        let form = try MessageRules.check(message)
        for rule in form.rules {
            guard let payload = samplePayload(rule.payload) else { continue }
            let others = message.allPayloads.filter { $0.type != rule.payload }
            // Notifies that decide the form must stay.
            let kept = rule.payload == .notify ? message.allPayloads.filter { $0.type == .notify } : []
            let flood = Array(repeating: payload, count: rule.most + 1 - kept.count)
            var bad = message
            if form.isEncrypted {
                bad.encryptedPayloads = others + kept + flood
            } else {
                bad.payloads = others + kept + flood
            }
            let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
            // Where the payload is what tells forms apart, the message is now a bad one of another form.
            if violation?.form == name {
                #expect(violation?.payload == rule.payload)
                #expect(violation?.rule == .atMost(rule.most, found: rule.most + 1))
            }
        }
    }

    @Test("a payload too few names itself", arguments: legal.indices)
    func tooFew(index: Int) throws {
        let (name, message) = legal[index]
        let form = try MessageRules.check(message)
        for rule in form.rules where rule.least > 0 {
            var bad = message
            bad.payloads.removeAll { $0.type == rule.payload }
            bad.encryptedPayloads?.removeAll { $0.type == rule.payload }
            do {
                // Without what tells forms apart it may be a good one of another form.
                #expect(try MessageRules.check(bad).name != name)
            } catch {
                guard error.form == name else { continue }
                #expect(error.payload == rule.payload)
                #expect(error.rule == .atLeast(rule.least, found: 0))
            }
        }
    }

    @Test("payloads that have no place", arguments: legal.indices)
    func strays(index: Int) throws {
        let (name, message) = legal[index]
        let form = try MessageRules.check(message)
        let deciding: Set<PayloadType> = [
            .extensibleAuthentication, .securityAssociation, .trafficSelectorInitiator, .trafficSelectorResponder,
            .identificationResponder, .authentication, .identificationInitiator, .keyExchange,
        ]
        for raw in PayloadType.securityAssociation.rawValue...PayloadType.extensibleAuthentication.rawValue {
            let type = PayloadType(rawValue: raw)
            guard !deciding.contains(type), !form.rules.contains(where: { $0.payload == type }),
                let payload = samplePayload(type)
            else { continue }
            var bad = message
            if form.isEncrypted { bad.encryptedPayloads?.append(payload) } else { bad.payloads.append(payload) }
            let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
            #expect(violation?.form == name && violation?.payload == type && violation?.rule == .notAllowed)
        }
    }

    @Test("what must be encrypted, and what must not", arguments: legal.indices)
    func protection(index: Int) throws {
        let (name, message) = legal[index]
        let form = try MessageRules.check(message)
        if form.isEncrypted, let first = message.encryptedPayloads?.first {
            let bad = Message(
                header: message.header, payloads: [first],
                encryptedPayloads: Array((message.encryptedPayloads ?? []).dropFirst()))
            let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
            #expect(violation?.payload == first.type && violation?.rule == .mustBeEncrypted)
        } else if message.header.exchange == .initial {
            let bad = Message(header: message.header, encryptedPayloads: message.payloads)
            let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
            #expect(violation?.payload == .encrypted && violation?.rule == .mustNotBeEncrypted)
            #expect(violation?.form == name)
        }
    }

    @Test("an unencrypted request is none, not even without payloads")
    func missingEncryptedPayload() {
        let bad = message(.createChild, .request, [], encrypted: false)
        let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
        #expect(violation?.payload == .encrypted && violation?.rule == .mustBeEncrypted)
    }

    @Test("the header of each exchange")
    func headers() {
        func refused(_ index: Int, _ change: (inout IKEHeader) -> Void, line: Int = #line) {
            var bad = legal[index].1
            change(&bad.header)
            let violation = #expect(throws: RuleViolation.self) { try MessageRules.check(bad) }
            guard case .header? = violation?.rule else {
                Issue.record("\(String(describing: violation)) at line \(line)")
                return
            }
        }
        refused(0) { $0.messageID = 1 }
        refused(0) { $0.initiatorSPI = 0 }
        refused(0) { $0.responderSPI = 1 }
        refused(0) { $0.isFromInitiator = false }
        refused(1) { $0.responderSPI = 0 }
        refused(1) { $0.isFromInitiator = true }
        refused(4) { $0.messageID = 0 }
        refused(4) { $0.isFromInitiator = false }
        refused(4) { $0.responderSPI = 0 }
        #expect(throws: Never.self) {
            var cookie = legal[2].1
            cookie.header.responderSPI = 0
            _ = try MessageRules.check(cookie)
        }
    }

    @Test("an exchange without rules; an offer that does not count from 1 is one all the same")
    func others() {
        for exchange in [ExchangeType.sessionResume, ExchangeType(rawValue: 240)] {
            let violation = #expect(throws: RuleViolation.self) {
                try MessageRules.check(message(exchange, .request, [], encrypted: true))
            }
            #expect(violation?.rule == .unsupportedExchange && violation?.answer.type == .invalidSyntax)
        }
        let offer = Payload.securityAssociation(
            .init([Proposal(number: 2, protocolID: .ike, transforms: [.keyExchange(.curve25519)])]))
        let rest = [PayloadType.keyExchange, .nonce].compactMap(samplePayload)
        for direction in [IKEHeader.Direction.request, .response] {
            #expect(throws: Never.self) { try MessageRules.check(message(.initial, direction, [offer] + rest)) }
        }
    }

    @Test("what only informs may come as often as a message holds; a chain of sixteen certificates is looked at")
    func surplus() throws {
        let many = Array(repeating: PayloadType.certificateRequest, count: 100)
        let keys: [PayloadType] = [.securityAssociation, .keyExchange, .nonce]
        #expect(try MessageRules.check(message(.initial, .response, of: keys + many)).name == .initialResponse)
        let proof: [PayloadType] = [.identificationResponder, .authentication]
        let answer = message(
            .authentication, .response, of: proof + many.map { _ in .certificate })
        #expect(try MessageRules.check(answer).name == .childlessAuthenticationResponse)
        #expect(answer.certificates.count == 16)
    }

    @Test("a REKEY_SA that names the IKE SA is about no child")
    func rekeyOfTheIKESA() throws {
        let rekey = Payload.notify(NotifyPayload(.rekeySA))
        let keys: [PayloadType] = [.securityAssociation, .keyExchange, .nonce]
        #expect(
            try MessageRules.check(message(.createChild, .request, of: keys, and: [rekey])).name == .rekeyIKERequest)
    }
}
