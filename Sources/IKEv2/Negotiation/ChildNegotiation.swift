import Cryptography
import IKEv2Messages
import Packets

/// The algorithms of a CHILD_SA, as both sides agreed on them.
package struct SelectedChild: Hashable, Sendable {
    package var transform: ESPTransform
    /// The key exchange; nil: keys come from the IKE SA alone.
    package var keyExchange: KeyExchangeMethod?
    package var extendedSequenceNumbers: Bool
    /// The proposal's number in the initiator's offer.
    package var number: UInt8
    /// The peer's inbound SPI.
    package var peerSPI: SPI
    /// One of each type: the answer.
    var transforms: [Transform]

    /// Nil unless they are one known ESP suite, and the SPI is none of the reserved ones (RFC 4303 section 2.1).
    init?(_ transforms: [Transform], number: UInt8, peerSPI: SPI?) {
        func id(_ type: TransformType) -> UInt16? { transforms.first { $0.type == type }?.id }
        guard let cipher = transforms.first(where: { $0.type == .encryption }), let encryption = ESPEncryption(cipher),
            let peerSPI, peerSPI.isUsable
        else { return nil }
        let integrity = id(.integrity).flatMap { $0 == 0 ? nil : $0 }
        let method = id(.keyExchange).flatMap { $0 == 0 ? nil : $0 }
        let known = integrity.flatMap(ESPIntegrity.init(transformID:))
        guard (integrity == nil) == (known == nil),
            let transform = try? ESPTransform(encryption: encryption, integrity: known)
        else { return nil }
        keyExchange = method.flatMap { KeyExchangeMethod(KeyExchangeID(rawValue: $0)) }
        guard (method == nil) == (keyExchange == nil) else { return nil }
        self.transform = transform
        extendedSequenceNumbers = id(.sequenceNumbers) == SequenceNumbers.extended.rawValue
        self.number = number
        self.peerSPI = peerSPI
        self.transforms = transforms
    }
}

/// The SA payloads of CHILD_SAs (RFC 7296 sections 2.7 and 3.3). ESP only.
///
/// `withKeyExchange`: false in IKE_AUTH, where the key exchange of a proposal has no meaning (section 1.2).
package enum ChildNegotiation {
    /// The initiator's. `spi`: our inbound one.
    package static func offer(
        _ proposals: [ChildProposal], spi: SPI, withKeyExchange: Bool
    ) -> SecurityAssociationPayload {
        SecurityAssociationPayload(
            zip(1..., proposals.prefix(255)).map { number, proposal in
                proposal.template(withKeyExchange: withKeyExchange).proposal(number: UInt8(number), spi: spi.bytes)
            })
    }

    /// The responder's choice: our first proposal that one of the peer's has something in common with in every type.
    /// nil: NO_PROPOSAL_CHOSEN.
    /// - `hasKeyExchange`: the peer sent a value with its offer. Where it did not, and both can do without, none is
    ///   chosen: INVALID_KE_PAYLOAD would cost a round trip.
    package static func choose(
        _ offered: SecurityAssociationPayload, configured: [ChildProposal], withKeyExchange: Bool,
        hasKeyExchange: Bool = true
    ) -> SelectedChild? {
        if withKeyExchange, !hasKeyExchange {
            let plain = configured.filter(\.allowsNoKeyExchange).map(\.withoutOptionalKeyExchange)
            if let chosen = choose(offered, configured: plain, withKeyExchange: true) { return chosen }
        }
        for template in configured.lazy.map({ $0.template(withKeyExchange: withKeyExchange) }) {
            for proposal in offered.proposals {
                guard case .chosen(let transforms) = ProposalMatch(proposal, template) else { continue }
                let chosen = SelectedChild(transforms, number: proposal.number, peerSPI: proposal.childSPI)
                if let chosen { return chosen }
            }
        }
        return nil
    }

    /// The responder's payload.
    package static func answer(_ chosen: SelectedChild, spi: SPI) -> SecurityAssociationPayload {
        SecurityAssociationPayload([
            Proposal(number: chosen.number, protocolID: .esp, spi: spi.bytes, transforms: chosen.transforms)
        ])
    }

    /// The choice of the responder, if that is one of our offers; nil is a protocol error of the responder.
    package static func check(
        _ answer: SecurityAssociationPayload, offered: [ChildProposal], withKeyExchange: Bool
    ) -> SelectedChild? {
        guard let proposal = answer.theOnlyChoice, let configured = offered.element(proposal.number),
            case .chosen(let transforms) = ProposalMatch(
                proposal, configured.template(withKeyExchange: withKeyExchange))
        else { return nil }
        return SelectedChild(transforms, number: proposal.number, peerSPI: proposal.childSPI)
    }
}

extension ChildProposal {
    /// `NONE` is one of them where the key exchange is optional (RFC 7296 section 3.3.6).
    private var keyExchangeTransforms: [Transform] {
        let methods = keyExchanges.map(Transform.method)
        let none = Transform(type: .keyExchange, id: ProposalTemplate.none)
        return switch keyExchangeNeed {
        case .required: methods
        case .preferred: methods + [none]
        case .accepted: [none] + methods
        }
    }

    func template(withKeyExchange: Bool) -> ProposalTemplate {
        ProposalTemplate(
            protocolID: .esp,
            alternatives: [
                (.encryption, encryption.map(Transform.esp)),
                (.integrity, integrity.map { .integrity(.init(rawValue: $0.transformID)) }),
                (.keyExchange, withKeyExchange ? keyExchangeTransforms : []),
                (.sequenceNumbers, extendedSequenceNumbers.map { .sequenceNumbers($0 ? .extended : .short) }),
            ], ignored: withKeyExchange ? nil : .keyExchange)
    }
}

// The numbers of ESP's algorithms in IANA's registries of transform types 1 and 3.

extension Transform {
    static func esp(_ encryption: ESPEncryption) -> Transform {
        switch encryption {
        case .aesGCM(let bits, let icv):
            let algorithm: EncryptionAlgorithm = icv == 8 ? .aesGCM8 : icv == 12 ? .aesGCM12 : .aesGCM16
            return .encryption(algorithm, keyLength: UInt16(clamping: bits))
        case .aesGMAC(let bits): return .encryption(.nullAESGMAC, keyLength: UInt16(clamping: bits))
        case .chaCha20Poly1305: return .encryption(.chaCha20Poly1305)
        case .aesCBC(let bits): return .encryption(.aesCBC, keyLength: UInt16(clamping: bits))
        case .aesCTR(let bits): return .encryption(.aesCTR, keyLength: UInt16(clamping: bits))
        case .null: return .encryption(.null)
        }
    }
}

extension ESPEncryption {
    /// Nil for what is unknown, in algorithm or key length.
    init?(_ transform: Transform) {
        let bits = transform.keyLength.map(Int.init)
        switch (EncryptionAlgorithm(rawValue: transform.id), bits) {
        case (.chaCha20Poly1305, nil): self = .chaCha20Poly1305
        case (.null, nil): self = .null
        case (let algorithm, .some(let bits)) where [128, 192, 256].contains(bits):
            switch algorithm {
            case .aesGCM8: self = .aesGCM(keyBits: bits, icvBytes: 8)
            case .aesGCM12: self = .aesGCM(keyBits: bits, icvBytes: 12)
            case .aesGCM16: self = .aesGCM(keyBits: bits, icvBytes: 16)
            case .nullAESGMAC: self = .aesGMAC(keyBits: bits)
            case .aesCBC: self = .aesCBC(keyBits: bits)
            case .aesCTR: self = .aesCTR(keyBits: bits)
            default: return nil
            }
        default: return nil
        }
    }
}

extension ESPIntegrity {
    var transformID: UInt16 {
        switch self {
        case .hmacSHA1_96: IntegrityAlgorithm.hmacSHA1_96.rawValue
        // Who cuts it shorter negotiates the same number (`sha256_96`): the first of both in the registry is meant.
        case .hmacSHA256_128, .hmacSHA256_96: IntegrityAlgorithm.hmacSHA256_128.rawValue
        case .hmacSHA384_192: IntegrityAlgorithm.hmacSHA384_192.rawValue
        case .hmacSHA512_256: IntegrityAlgorithm.hmacSHA512_256.rawValue
        }
    }

    init?(transformID: UInt16) {
        guard let found = Self.allCases.first(where: { $0.transformID == transformID }) else { return nil }
        self = found
    }
}
