import IKEv2Messages
import Packets

extension MessageWindow.SentMessage {
    /// `repetition`: 0 for the first time.
    func outgoing(path: Path, repetition: Int) -> OutgoingMessage {
        OutgoingMessage(
            path: path, datagrams: datagrams,
            line: repetition == 0 ? line : line.repeated(repetition, peer: "\(path.remote)"))
    }
}

extension Session {
    /// Sends the next protected request, which then waits for its answer.
    func sendRequest(_ exchange: ExchangeType, _ payloads: [Payload], _ step: inout Step) {
        if window.isExhausted {
            step.close(.expired)
            return
        }
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange, direction: .request,
            isFromInitiator: role == .initiator, messageID: window.nextRequestID)
        guard let message = seal(header, payloads, path: path, &step) else { return }
        window.sent(message, exchange: exchange, at: step.now, settings: step.settings)
        step.act(.send(message.outgoing(path: path, repetition: 0)))
    }

    /// Answers the request that was due, along the path that it came by (RFC 7296 section 2.11).
    func sendAnswer(to request: IKEHeader, _ payloads: [Payload], path: Path, _ step: inout Step) {
        guard let message = seal(request.response(), payloads, path: path, &step) else { return }
        window.answered(with: message)
        step.act(.send(message.outgoing(path: path, repetition: 0)))
        step.answerIsSent()
    }

    /// One message that waits for nothing and is never repeated: the last word of a session.
    func sendOnce(_ exchange: ExchangeType, _ payloads: [Payload], _ step: inout Step) {
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange, direction: .request,
            isFromInitiator: role == .initiator, messageID: window.nextRequestID)
        guard let message = seal(header, payloads, path: path, &step) else { return }
        step.act(.send(message.outgoing(path: path, repetition: 0)))
    }

    /// nil: the session ends, as it has no way left to say anything.
    private func seal(
        _ header: IKEHeader, _ payloads: [Payload], path: Path, _ step: inout Step
    ) -> MessageWindow.SentMessage? {
        guard let protection = phase.protection else { return nil }
        let message = Message(header: header, encryptedPayloads: payloads)
        do {
            let datagrams =
                sendsFragments
                ? try message.sealed(with: protection.outbound, maximumLength: largestDatagram(path, step.settings))
                : [try message.sealed(with: protection.outbound)]
            let line = MessageLine(
                message, way: .sent, peer: "\(path.remote)", bytes: datagrams.reduce(0) { $0 + $1.count },
                fragments: datagrams.count)
            return MessageWindow.SentMessage(datagrams: datagrams, line: line)
        } catch {
            let explanation = Explanation("a message could not be made", details: ["\(error)"])
            step.note(.warning, explanation.description)
            step.close(.negotiationFailed(explanation))
            return nil
        }
    }

    private var sendsFragments: Bool {
        switch connection?.fragmentation {
        // A first message in fragments is IKEv1's.
        case .yes, .force: peer.fragmentation
        case .accept, .no: false
        // A refusal, before it is known whom it is for.
        case nil: peer.fragmentation
        }
    }

    /// Bytes of the largest IKE message that is not fragmented.
    private func largestDatagram(_ path: Path, _ settings: ProtocolSettings) -> Int {
        FragmentSize.messageLength(
            mtu: settings.fragmentSizeInBytes, family: path.remote.address.family,
            hasMarker: path.local.port != Self.initialPort)
    }

    /// Where negotiations begin (RFC 7296 section 2); from 4500 on there is a non-ESP marker.
    static let initialPort: UInt16 = 500
    static let encapsulationPort: UInt16 = 4500
}
