import Cryptography
import IKEv2Messages

/// The algorithms of an IKE SA, as both sides agreed on them.
package struct SelectedIKE: Hashable, Sendable {
    package var suite: IKECipherSuite
    package var function: PRF
    package var keyExchange: KeyExchangeMethod
    /// The proposal's number in the initiator's offer.
    package var number: UInt8
    /// The SPI of the peer's proposal, host order; nil in IKE_SA_INIT.
    package var peerSPI: UInt64?
    /// One of each type: the answer.
    var transforms: [Transform]

    package init(
        suite: IKECipherSuite, function: PRF, keyExchange: KeyExchangeMethod, number: UInt8 = 1,
        peerSPI: UInt64? = nil
    ) {
        self.suite = suite
        self.function = function
        self.keyExchange = keyExchange
        self.number = number
        self.peerSPI = peerSPI
        transforms = []
        let proposal = IKEProposal(
            encryption: [suite.encryption], integrity: suite.integrity.map { [$0] } ?? [], functions: [function],
            keyExchanges: [keyExchange])
        transforms = proposal.template.alternatives.flatMap(\.transforms)
    }

    /// Nil unless there is exactly one known algorithm of each type.
    init?(_ transforms: [Transform], number: UInt8, peerSPI: UInt64?) {
        func id(_ type: TransformType) -> UInt16? { transforms.first { $0.type == type }?.id }
        guard let cipher = transforms.first(where: { $0.type == .encryption }),
            let encryption = IKECipherSuite.Encryption(
                transformID: cipher.id, keyBits: cipher.keyLength.map(Int.init)),
            let suite = IKECipherSuite(
                encryption: encryption, integrity: id(.integrity).flatMap(IKECipherSuite.Integrity.init(rawValue:))),
            let function = id(.pseudorandomFunction).flatMap(PRF.init(rawValue:)),
            let keyExchange = id(.keyExchange).flatMap({ KeyExchangeMethod(KeyExchangeID(rawValue: $0)) })
        else { return nil }
        self.suite = suite
        self.function = function
        self.keyExchange = keyExchange
        self.number = number
        self.peerSPI = peerSPI
        self.transforms = transforms
    }
}

/// The SA payloads of IKE SAs (RFC 7296 sections 2.7 and 3.3).
package enum IKENegotiation {
    /// The initiator's. `spi`: ours for the new IKE SA when this one is rekeyed, nil in IKE_SA_INIT.
    package static func offer(_ proposals: [IKEProposal], spi: UInt64?) -> SecurityAssociationPayload {
        SecurityAssociationPayload(
            zip(1..., proposals.prefix(255)).map { number, proposal in
                proposal.template.proposal(number: UInt8(number), spi: bytes(spi))
            })
    }

    /// The responder's choice: our first proposal that one of the peer's has something in common with in every type.
    /// nil: NO_PROPOSAL_CHOSEN.
    package static func choose(_ offered: SecurityAssociationPayload, configured: [IKEProposal]) -> SelectedIKE? {
        choose(offered, templates: configured.map(\.template))
    }

    static func choose(
        _ offered: SecurityAssociationPayload, templates: [ProposalTemplate],
        begun: KeyExchangeID? = nil
    ) -> SelectedIKE? {
        for template in templates {
            for proposal in offered.proposals {
                guard case .chosen(let transforms) = ProposalMatch(proposal, template, begun: begun) else { continue }
                let chosen = SelectedIKE(transforms, number: proposal.number, peerSPI: proposal.ikeSPI)
                if let chosen { return chosen }
            }
        }
        return nil
    }

    /// The responder's payload.
    package static func answer(_ chosen: SelectedIKE, spi: UInt64?) -> SecurityAssociationPayload {
        SecurityAssociationPayload([
            Proposal(number: chosen.number, protocolID: .ike, spi: bytes(spi), transforms: chosen.transforms)
        ])
    }

    /// The choice of the responder, if that is one of our offers; nil is a protocol error of the responder.
    package static func check(_ answer: SecurityAssociationPayload, offered: [IKEProposal]) -> SelectedIKE? {
        guard let proposal = answer.theOnlyChoice, let configured = offered.element(proposal.number),
            case .chosen(let transforms) = ProposalMatch(proposal, configured.template)
        else { return nil }
        return SelectedIKE(transforms, number: proposal.number, peerSPI: proposal.ikeSPI)
    }

    /// After INVALID_KE_PAYLOAD: the method to try again with, if it is one that we offered and not the one that was
    /// refused (RFC 7296 section 1.2); nil ends the negotiation.
    package static func retryMethod(
        _ notify: NotifyPayload, offered: [IKEProposal], refused: KeyExchangeMethod
    ) -> KeyExchangeMethod? {
        notify.wanted(of: offered.flatMap(\.keyExchanges), refused: refused)
    }

    private static func bytes(_ spi: UInt64?) -> [UInt8] {
        spi.map { spi in stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: spi >> UInt64($0)) } }
            ?? []
    }
}

extension IKEProposal {
    var template: ProposalTemplate {
        ProposalTemplate(
            protocolID: .ike,
            alternatives: [
                (.encryption, encryption.map(Transform.ike)),
                (.pseudorandomFunction, functions.map { .pseudorandomFunction(.init(rawValue: $0.rawValue)) }),
                (.integrity, integrity.map { .integrity(.init(rawValue: $0.rawValue)) }),
                (.keyExchange, keyExchanges.map(Transform.method)),
            ])
    }
}

extension Transform {
    static func ike(_ encryption: IKECipherSuite.Encryption) -> Transform {
        .encryption(.init(rawValue: encryption.transformID), keyLength: encryption.keyBits.map(UInt16.init))
    }

    static func method(_ method: KeyExchangeMethod) -> Transform {
        .keyExchange(method.id)
    }
}

extension SecurityAssociationPayload {
    /// An answer is one proposal with at most one transform of each type; nil when it is anything else.
    var theOnlyChoice: Proposal? {
        guard proposals.count == 1, let proposal = proposals.first,
            Set(proposal.transforms.map(\.type)).count == proposal.transforms.count
        else { return nil }
        return proposal
    }
}

extension NotifyPayload {
    /// INVALID_KE_PAYLOAD's method when it is one of `methods` and not `refused`.
    func wanted(
        of methods: [KeyExchangeMethod], refused: KeyExchangeMethod?
    ) -> KeyExchangeMethod? {
        guard let wanted = wantedKeyExchange.flatMap(KeyExchangeMethod.init), wanted != refused else { return nil }
        return methods.contains(wanted) ? wanted : nil
    }
}

extension Array {
    /// The element for the number of a proposal in an offer, from 1 on.
    func element(_ number: UInt8) -> Element? {
        number >= 1 && Int(number) <= count ? self[Int(number) - 1] : nil
    }
}
