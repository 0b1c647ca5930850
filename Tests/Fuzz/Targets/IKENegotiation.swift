import FuzzSupport
import IKEv2
import IKEv2Messages
import IPsec
import Packets

/// What a peer offers, and who it says it is. The input is the content of an Encrypted payload: its first byte is the type
/// of the first payload. What is agreed on must be within what both sides have.
@main
enum FuzzIKENegotiation {
    static func main() {
        fuzz { input, count in
            let bytes = Array(UnsafeRawBufferPointer(start: input, count: count))
            guard let first = bytes.first else { return }
            let header = IKEHeader(
                initiatorSPI: 1, responderSPI: 2, exchange: .authentication, direction: .request,
                isFromInitiator: true, messageID: 1)
            let message = try? Message(
                header: header, payloads: [], firstEncrypted: PayloadType(rawValue: first),
                content: Array(bytes.dropFirst()))
            guard let message else { return }
            if let offer = message.securityAssociation { negotiate(offer) }
            if let offer = message.trafficSelectorInitiator { narrow(offer) }
            if let identity = message.identificationInitiator { identify(identity) }
        }
    }

    private static func negotiate(_ offer: SecurityAssociationPayload) {
        if let chosen = IKENegotiation.choose(offer, configured: IKEProposal.default) {
            let answer = IKENegotiation.answer(chosen, spi: chosen.peerSPI)
            require(isWithin(answer, offer), "the peer did not offer \(answer)")
        } else {
            _ = IKENegotiation.explain(offered: offer, configured: IKEProposal.default, connection: "c")
        }
        _ = IKENegotiation.check(offer, offered: IKEProposal.default)
        for withKeyExchange in [true, false] {
            let chosen = ChildNegotiation.choose(
                offer, configured: ChildProposal.default, withKeyExchange: withKeyExchange)
            if let chosen {
                require(isWithin(ChildNegotiation.answer(chosen, spi: chosen.peerSPI), offer), "not offered")
            } else {
                _ = ChildNegotiation.explain(
                    offered: offer, configured: ChildProposal.default, withKeyExchange: withKeyExchange,
                    connection: "c", child: "n")
            }
            _ = ChildNegotiation.check(offer, offered: ChildProposal.default, withKeyExchange: withKeyExchange)
        }
    }

    private static func isWithin(_ answer: SecurityAssociationPayload, _ offer: SecurityAssociationPayload) -> Bool {
        guard let chosen = answer.proposals.first else { return false }
        return offer.proposals.contains { proposal in
            proposal.number == chosen.number && chosen.transforms.allSatisfy(proposal.transforms.contains)
        }
    }

    private static let sides = ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"].compactMap(IPPrefix.init).map {
        SelectorSide(addresses: AddressRange($0))
    }

    private static func narrow(_ offer: TrafficSelectorPayload) {
        let address = IPAddress(ipv4: 0xC000_0201)
        let narrowed = SelectorNegotiation.narrow(offer, to: sides + [.dynamic], dynamic: address)
        if !narrowed.isEmpty {
            let answer = SelectorNegotiation.payload(narrowed)
            require(SelectorNegotiation.check(answer, within: sides, dynamic: address) != nil, "more than ours")
        }
        _ = SelectorNegotiation.pairs(local: narrowed, remote: narrowed)
        _ = SelectorNegotiation.check(offer, within: sides, dynamic: address)
    }

    private static let patterns = ["%any", "*.example.org", "*@example.org", "C=CH, O=*, CN=moon", "10.0.0.1"]
        .compactMap { try? Identity(parsing: $0) }

    private static func identify(_ payload: IdentificationPayload) {
        guard let identity = Identity(payload) else { return }
        require(identity.payload == payload, "\(identity) is not what came")
        for pattern in patterns { _ = identity.matches(pattern) }
        require(identity.matches(identity) != nil, "\(identity) is not itself")
        _ = try? Identity(parsing: identity.description)
    }
}
