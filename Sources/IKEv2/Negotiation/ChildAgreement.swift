import Cryptography
import IKEv2Messages
import IPsec
import Packets

/// Terms of a CHILD_SA that both sides agreed on before there are keys for it: the same in IKE_AUTH and CREATE_CHILD_SA.
struct ChildAgreement {
    var child: Child
    var selected: SelectedChild
    var local: [SelectorSide]
    var remote: [SelectorSide]
    /// Ours.
    var inboundSPI: SPI
}

extension ChildAgreement {
    /// Whether all packets of an SA are packets of this one.
    func covers(_ sa: ChildSA) -> Bool {
        SelectorSide.cover(local, sa.localSelectors) && SelectorSide.cover(remote, sa.remoteSelectors)
    }
}

// MARK: - Initiator

extension ChildAgreement {
    /// SA, TSi and TSr of a request. `hint`: the packet that calls for the SA.
    static func offer(
        _ child: Child, inboundSPI: SPI, withKeyExchange: Bool, hint: TrafficSelector?,
        context: SelectorContext
    ) -> [Payload] {
        [
            .securityAssociation(
                ChildNegotiation.offer(child.proposals, spi: inboundSPI, withKeyExchange: withKeyExchange)),
            .trafficSelectorInitiator(
                SelectorNegotiation.offer(
                    child.localSelectors, dynamic: context.local, hint: hint.flatMap(Self.sourceSide))),
            .trafficSelectorResponder(
                SelectorNegotiation.offer(
                    child.remoteSelectors, dynamic: context.remote,
                    hint: hint.map(\.reversed).flatMap(Self.sourceSide))),
        ]
    }

    /// The agreement that the responder made of our offer.
    init(
        _ response: Message, offered child: Child, inboundSPI: SPI, withKeyExchange: Bool, in session: Session,
        _ step: Step
    ) throws(Refusal) {
        let context = session.selectorContext(step.environment)
        if let error = response.errorNotify {
            throw Self.refused(error, child, connection: session.connection?.name ?? "")
        }
        guard let answer = response.securityAssociation,
            let selected = ChildNegotiation.check(answer, offered: child.proposals, withKeyExchange: withKeyExchange)
        else {
            throw Refusal(
                .noProposalChosen,
                Explanation(
                    "the peer chose what child \(child.name) does not offer",
                    details: [
                        "offered: \(child.proposals.map(\.description).joined(separator: ", "))",
                        "chosen: \(response.securityAssociation?.shown ?? "nothing")",
                    ], remedy: "change the peer"))
        }
        guard let initiator = response.trafficSelectorInitiator, let responder = response.trafficSelectorResponder,
            let local = SelectorNegotiation.check(
                initiator, within: child.localSelectors, dynamic: context.local),
            let remote = SelectorNegotiation.check(
                responder, within: child.remoteSelectors, dynamic: context.remote)
        else {
            throw Refusal(
                .trafficSelectorsUnacceptable,
                Explanation(
                    "the peer chose traffic selectors that child \(child.name) does not offer",
                    details: [
                        "chosen for our side: \(response.trafficSelectorInitiator?.shown ?? "nothing")",
                        "chosen for its side: \(response.trafficSelectorResponder?.shown ?? "nothing")",
                    ], remedy: "change the peer"))
        }
        if response.has(.useTransportMode) {
            throw Refusal(
                .invalidSyntax,
                Explanation("the peer wants transport mode for child \(child.name), which was not offered"))
        }
        self.init(child: child, selected: selected, local: local, remote: remote, inboundSPI: inboundSPI)
    }

    /// The words for a responder's error notify.
    private static func refused(_ error: NotifyPayload, _ child: Child, connection: String) -> Refusal {
        let explanation =
            switch error.type {
            case .noProposalChosen:
                ChildNegotiation.explainRefusal(
                    of: child.proposals, connection: connection, child: child.name)
            case .trafficSelectorsUnacceptable: ChildExplanations(connection: connection).selectorRefusal(child)
            default: Explanation("the peer refuses child \(child.name): \(error.type)")
            }
        return Refusal(error.type, explanation)
    }

    private static func sourceSide(_ selector: TrafficSelector) -> AddressRangeSelector? {
        AddressRangeSelector(
            protocolNumber: selector.protocol ?? 0, firstPort: selector.sourcePorts.lowerBound,
            lastPort: selector.sourcePorts.upperBound, firstAddress: selector.source.first,
            lastAddress: selector.source.last)
    }
}

// MARK: - Responder

extension ChildAgreement {
    /// Chooses among `children` by selectors, then by proposals: the first child that can carry everything the peer
    /// asks for, else the first that can carry what it puts first, which is the packet that calls for the SA, else the
    /// first that can carry some of it (RFC 7296 section 2.9). Throws before anything is taken.
    init(
        _ request: Message, among children: [Child], withKeyExchange: Bool, in session: Session, _ step: inout Step
    ) throws(Refusal) {
        let context = session.selectorContext(step.environment)
        let explanations = ChildExplanations(connection: session.connection?.name ?? "")
        guard let offer = request.securityAssociation, let initiator = request.trafficSelectorInitiator,
            let responder = request.trafficSelectorResponder
        else { throw Refusal(.invalidSyntax, Explanation("the peer's request for a child is not complete")) }
        let fitting = children.compactMap { child -> (child: Child, local: [SelectorSide], remote: [SelectorSide])? in
            let local = SelectorNegotiation.narrow(responder, to: child.localSelectors, dynamic: context.local)
            let remote = SelectorNegotiation.narrow(initiator, to: child.remoteSelectors, dynamic: context.remote)
            return local.isEmpty || remote.isEmpty ? nil : (child, local, remote)
        }
        if fitting.isEmpty {
            throw Refusal(
                .trafficSelectorsUnacceptable, explanations.selectors(initiator, responder, children))
        }
        func takes(_ ours: [SelectorSide], _ wanted: some Sequence<SelectorSide>) -> Bool {
            wanted.allSatisfy { theirs in ours.contains { $0.contains(theirs) } }
        }
        let (local, remote) = (responder.ranges, initiator.ranges)
        let whole = fitting.filter { takes($0.local, local) && takes($0.remote, remote) }
        let urgent = fitting.filter { takes($0.local, local.prefix(1)) && takes($0.remote, remote.prefix(1)) }
        for candidate in whole + urgent + fitting {
            // What the dataplane does not serve, nobody gets (the request may still be served in tunnel mode).
            if candidate.child.mode == .transport { continue }
            let selected = ChildNegotiation.choose(
                offer, configured: candidate.child.proposals, withKeyExchange: withKeyExchange,
                hasKeyExchange: request.keyExchange != nil)
            guard let selected else { continue }
            self.init(
                child: candidate.child, selected: selected, local: candidate.local, remote: candidate.remote,
                inboundSPI: try step.allocateSPI())
            return
        }
        throw Refusal(
            .noProposalChosen, explanations.proposals(offer, fitting.map(\.child), withKeyExchange: withKeyExchange))
    }

    /// SA, TSi and TSr of the answer.
    var answer: [Payload] {
        [
            .securityAssociation(ChildNegotiation.answer(selected, spi: inboundSPI)),
            .trafficSelectorInitiator(SelectorNegotiation.payload(remote)),
            .trafficSelectorResponder(SelectorNegotiation.payload(local)),
        ]
    }
}

// MARK: - Both

extension ChildAgreement {
    /// The SA, with its keys (RFC 7296 section 2.17). `secret`: of the exchange's own key exchange, if it had one;
    /// `initiator`: whether we began the exchange; `requestID`: that of the SA it replaces.
    func makeChild(
        secret: SecretBytes?, initiatorNonce: [UInt8], responderNonce: [UInt8], initiator: Bool,
        requestID: UInt32? = nil, in session: Session, _ step: inout Step
    ) throws(Refusal) -> ChildSA {
        guard let protection = session.phase.protection, let connection = session.connection else {
            throw Refusal(.temporaryFailure, Explanation("there is no IKE SA for a child"))
        }
        let peer = session.identities?.remote ?? .any
        let selectors = try selectors(for: peer, of: connection, besides: session.childTable.selectorCount, step)
        let keys: (initiator: SecretBytes, responder: SecretBytes)
        do {
            keys = try protection.keys.childKeys(
                selected.transform, secret: secret, initiatorNonce: initiatorNonce, responderNonce: responderNonce)
        } catch {
            throw Refusal(.temporaryFailure, Explanation("no keys for child \(child.name): \(error)"))
        }
        return ChildSA(
            id: step.environment.uniqueID(), child: child, connectionName: connection.name,
            inboundSPI: inboundSPI, outboundSPI: selected.peerSPI, mode: .tunnel,
            transform: child.transform(selected.transform),
            extendedSequenceNumbers: selected.extendedSequenceNumbers, keyExchange: selected.keyExchange,
            inboundKey: initiator ? keys.responder : keys.initiator,
            outboundKey: initiator ? keys.initiator : keys.responder, selectors: selectors,
            localSelectors: local, remoteSelectors: remote,
            requestID: requestID
                ?? step.environment.requestID(
                    connection: connection, child: child, selectors: selectors, peer: peer),
            path: session.path, isEncapsulated: session.nat.isEncapsulated, establishedAt: step.now,
            lifetime: step.environment.lifetime(of: child))
    }

    /// Every pair of both sides' selectors, as long as there is room for them and nobody else has them.
    /// - Parameter others: how many pairs the other children of the IKE SA have. A peer that rekeys has both for a while.
    private func selectors(
        for peer: Identity, of connection: Connection, besides others: Int, _ step: Step
    ) throws(Refusal) -> [TrafficSelector] {
        guard local.count * remote.count <= SelectorNegotiation.maximumPairs else {
            throw Refusal(
                .trafficSelectorsUnacceptable,
                Explanation(
                    "child \(child.name) would have \(local.count) × \(remote.count) pairs of "
                        + "traffic selectors, and \(SelectorNegotiation.maximumPairs) is the limit",
                    remedy: "put neighbouring networks together in local_ts and remote_ts, or make several children"))
        }
        let selectors = SelectorNegotiation.pairs(local: local, remote: remote)
        if selectors.isEmpty {
            throw Refusal(
                .trafficSelectorsUnacceptable,
                Explanation("the two sides of child \(child.name) have no protocol and address family in common"))
        }
        guard others + selectors.count <= SelectorNegotiation.maximumPairsOfSession else {
            throw Refusal(
                .noAdditionalSAs,
                Explanation(
                    "the children of the IKE SA have \(others) pairs of traffic selectors, child \(child.name) would add "
                        + "\(selectors.count), and \(SelectorNegotiation.maximumPairsOfSession) is the limit",
                    remedy: "put neighbouring networks together in local_ts and remote_ts"))
        }
        if let holder = step.environment.holder(of: selectors, connection: connection, besides: peer) {
            throw Refusal(
                .trafficSelectorsUnacceptable,
                Explanation(
                    "\(peer) wants networks of child \(child.name) that \(holder) has",
                    details: ["it wants \(remote.map(\.description).joined(separator: ", "))"],
                    remedy: "give every peer networks of its own; terminate the other one's CHILD_SA if it is gone"))
        }
        guard step.environment.hasRoom(for: selectors) else {
            throw Refusal(
                .noAdditionalSAs,
                Explanation(
                    "the dataplane has no room for the networks of child \(child.name)",
                    remedy: "put neighbouring networks together in local_ts and remote_ts"))
        }
        return selectors
    }
}
