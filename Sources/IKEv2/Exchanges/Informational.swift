import IKEv2Messages
import IPsec
import Packets

// INFORMATIONAL exchanges (RFC 7296 section 1.4): liveness, Delete, errors.
//
//     [D…] [N…] -->
//               <-- [D…]
//
// | | | RFC 7296 |
// |-|-|-|
// | Nothing in it | is the peer there? Any answer says yes | 2.4 |
// | D(IKE) | all goes with the answer, or without one when there is none | 1.4.1 |
// | D(ESP) | our inbound SPI; the answer has the peer's, and both directions go | 1.4.1 |
// | Collision: both delete a child | each has named its own SPI already, and answers without one | 1.4.1 |
// | Collision: both delete the IKE SA | an empty answer; it is gone at both ends | 2.25.2 |
// | N(AUTHENTICATION_FAILED), N(INVALID_SYNTAX) | the peer has given the IKE SA up, so it goes | 2.21.2, 2.21.3 |
// | No response | the same bytes again until the peer counts as dead | 2.4 |

// MARK: - Initiator

/// An empty request: is the peer there (section 2.4)?
struct LivenessExchange: PlainExchange {
    let type = ExchangeType.informational
    let name = "IKE_DPD"
    let isProbe = true
    let survivesIKERekey = false

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? { [] }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {}
}

/// Deletes the IKE SA, and with it all children (section 1.4.1).
struct DeleteIKEExchange: PlainExchange {
    let type = ExchangeType.informational
    let name = "IKE_DELETE"
    let reason: CloseReason

    var endsIKE: CloseReason? { reason }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        session.lifecycle.deletionBegan()
        // Nothing may be sent in an SA that the peer is about to delete.
        session.childTable.stopSending(&step)
        return [.delete(.ikeSA)]
    }

    /// Any answer will do: it is gone.
    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        step.close(reason)
    }
}

/// Deletes one child. The peer answers with the other direction (section 1.4.1), or without it when it has begun to
/// delete the same child, or does not know it.
struct DeleteChildExchange: PlainExchange {
    let type = ExchangeType.informational
    let name = "CHILD_DELETE"
    let childID: UInt32
    let reason: String

    var deletedChild: UInt32? { childID }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        guard let entry = session.childTable[childID] else { return nil }
        session.childTable.deletionBegan(childID, &step)
        return [.delete(.childSAs(.esp, [entry.sa.inboundSPI]))]
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        session.childTable.drained(childID, reason: reason, underRekey: nil, &step)
    }
}

/// Deletes a child that the peer believes in, and we do not.
struct DiscardChildExchange: PlainExchange {
    let type = ExchangeType.informational
    let name = "CHILD_DELETE"
    let blocksIKERekey = true
    /// The one that we offered.
    let inboundSPI: SPI

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        [.delete(.childSAs(.esp, [inboundSPI]))]
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        step.act(.releaseSPI(inboundSPI))
    }

    mutating func abandoned(in session: Session, _ step: inout Step) { step.act(.releaseSPI(inboundSPI)) }
}

/// INVALID_MESSAGE_ID: a request of the peer was beyond our window (section 2.3).
struct WrongMessageIDExchange: PlainExchange {
    let type = ExchangeType.informational
    let name = "IKE_NOTIFY"
    let messageID: UInt32

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        [.notify(.invalidMessageID(messageID))]
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {}
}

// MARK: - Responder

/// An INFORMATIONAL request of the peer: what it deletes is deleted, what it notifies of is noted, and an answer there is
/// always, if only an empty one.
struct InformationalRequest {
    let session: Session
    let request: Message

    /// The payloads of the answer.
    func respond(_ step: inout Step) -> [Payload] {
        var spis: [SPI] = []
        for delete in request.deletes {
            switch delete {
            case .ikeSA:
                if let heir = session.exchanges.heirOfPeer() { session.handOver(to: heir, &step) }
                // The peer takes its SAs down when it has the answer.
                session.childTable.stopSending(&step)
                step.close(session.lifecycle.isSpare ? .rekeyed : .deletedByPeer)
                // Of children nothing needs saying: they go with the IKE SA.
                return []
            case .childSAs(.esp, let peerSPIs):
                // The peer knows already that this IKE SA inherits the children; we do not.
                if session.lifecycle.isUndecided { session.keepEarlyDeletes(peerSPIs, step.settings) }
                for peerSPI in peerSPIs { Self.childDeleted(peerSPI, in: session, answer: &spis, &step) }
            case .childSAs: break
            }
        }
        for notify in request.notifies where notify.type.isError { complain(notify, &step) }
        return spis.isEmpty ? [] : [.delete(.childSAs(.esp, spis))]
    }

    /// The peer deletes the SA that it receives in with this SPI; ours of the same child goes with it. When both sides
    /// delete at once, each has named its own already (section 1.4.1).
    static func childDeleted(
        _ peerSPI: SPI, in session: Session, answer spis: inout [SPI], _ step: inout Step
    ) {
        guard let sa = session.childTable.entry(peerSPI: peerSPI)?.sa else {
            step.note(.debug, "the peer deletes a child that is gone")
            return
        }
        if !session.exchanges.isDeleting(child: sa.id) { spis.append(sa.inboundSPI) }
        session.childTable.deletedByPeer(sa.id, underRekey: session.exchanges.active?.rekeyedChild, &step)
    }

    private func complain(_ notify: NotifyPayload, _ step: inout Step) {
        step.note(.warning, "the peer says \(notify.type)")
        // Both mean that the peer has no use for this IKE SA (sections 2.21.2 and 2.21.3).
        if notify.type == .authenticationFailed || notify.type == .invalidSyntax {
            step.close(.negotiationFailed(Explanation("the peer gave the IKE SA up: \(notify.type)")))
        }
    }

    /// The same before IKE_AUTH was done: the initiator gives up.
    func respondEarly(_ step: inout Step) -> [Payload] {
        let error = request.errorNotify.map { ": \($0.type)" } ?? ""
        let explanation = Explanation("the peer gave the negotiation up\(error)")
        step.report(.failed(explanation))
        step.close(.negotiationFailed(explanation))
        return []
    }
}
