import IKEv2Messages
import Packets

/// The messages that a session sends: sealed, cut into fragments where the peer takes them, and kept in the window for
/// when they have to go out again.
struct MessageSender {
    let session: Session

    /// The next protected request, which then waits for its answer.
    func request(_ exchange: ExchangeType, _ payloads: [Payload], _ step: inout Step) {
        if session.window.isExhausted {
            step.close(.expired)
            return
        }
        guard let message = seal(requestHeader(exchange), payloads, path: session.path, &step) else { return }
        session.window.sent(message, exchange: exchange, at: step.now, settings: step.settings)
        step.act(.send(message.outgoing(path: session.path, repetition: 0)))
    }

    /// The answer to the request that was due, along the path that it came by (RFC 7296 section 2.11).
    func answer(to request: IKEHeader, _ payloads: [Payload], path: Path, _ step: inout Step) {
        guard let message = seal(request.response(), payloads, path: path, &step) else { return }
        session.window.answered(with: message)
        step.act(.send(message.outgoing(path: path, repetition: 0)))
        step.answerIsSent()
    }

    /// One message that waits for nothing and is never repeated: the last word of a session.
    func once(_ exchange: ExchangeType, _ payloads: [Payload], _ step: inout Step) {
        guard let message = seal(requestHeader(exchange), payloads, path: session.path, &step) else { return }
        step.act(.send(message.outgoing(path: session.path, repetition: 0)))
    }

    /// IKE_SA_INIT, which nothing protects. `bytes`: the message as it goes out.
    func plain(_ message: Message, _ bytes: [UInt8], _ step: inout Step) {
        let sent = MessageWindow.SentMessage(message, datagrams: [bytes], path: session.path)
        switch message.header.direction {
        case .request: session.window.sent(sent, exchange: .initial, at: step.now, settings: step.settings)
        case .response: session.window.answered(with: sent)
        }
        step.act(.send(sent.outgoing(path: session.path, repetition: 0)))
    }

    private func requestHeader(_ exchange: ExchangeType) -> IKEHeader {
        IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: exchange,
            direction: .request, isFromInitiator: session.role == .initiator, messageID: session.window.nextRequestID)
    }

    /// The sealed message; nil: the session ends, as it has no way left to say anything.
    private func seal(
        _ header: IKEHeader, _ payloads: [Payload], path: Path, _ step: inout Step
    ) -> MessageWindow.SentMessage? {
        guard let protection = session.phase.protection else { return nil }
        let message = Message(header: header, encryptedPayloads: payloads)
        do {
            let datagrams =
                sendsFragments
                ? try message.sealed(with: protection.outbound, maximumLength: largestDatagram(path, step.settings))
                : [try message.sealed(with: protection.outbound)]
            return MessageWindow.SentMessage(message, datagrams: datagrams, path: path)
        } catch {
            let explanation = Explanation("a message could not be made", details: ["\(error)"])
            step.note(.warning, explanation.description)
            step.close(.negotiationFailed(explanation))
            return nil
        }
    }

    private var sendsFragments: Bool {
        switch session.connection?.fragmentation {
        // A first message in fragments is IKEv1's.
        case .yes, .force: session.peer.fragmentation
        case .accept, .no: false
        // A refusal, before it is known whom it is for.
        case nil: session.peer.fragmentation
        }
    }

    /// Bytes of the largest IKE message that is not fragmented.
    private func largestDatagram(_ path: Path, _ settings: ProtocolSettings) -> Int {
        FragmentSize.messageLength(
            mtu: settings.fragmentSizeInBytes, family: path.remote.address.family,
            hasMarker: path.local.port != Session.initialPort)
    }
}

extension MessageWindow.SentMessage {
    init(_ message: Message, datagrams: [[UInt8]], path: Path) {
        self.init(
            datagrams: datagrams,
            line: MessageLine(
                message, way: .sent, peer: "\(path.remote)", bytes: datagrams.reduce(0) { $0 + $1.count },
                fragments: datagrams.count))
    }

    /// `repetition`: 0 for the first time.
    func outgoing(path: Path, repetition: Int) -> OutgoingMessage {
        OutgoingMessage(
            path: path, datagrams: datagrams,
            line: repetition == 0 ? line : line.repeated(repetition, peer: "\(path.remote)"))
    }
}
