import IKEv2Messages

@testable import IKEv2

// Messages that no session of ours would send.

extension TwoSessions {
    /// Delivers a datagram to a host at once, as if the other end had sent it.
    func inject(_ bytes: [UInt8], to host: TestHost) {
        let other = host === west ? east : west
        host.receive(bytes, path: Path(local: host.endpoint, remote: other.endpoint))
    }

    /// An unprotected message to `host` with the SPIs of its session.
    func injectPlain(
        to host: TestHost, _ exchange: ExchangeType, _ direction: IKEHeader.Direction, messageID: UInt32,
        _ payloads: [Payload]
    ) {
        guard let session = host.session else { return }
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: exchange,
            direction: direction, isFromInitiator: session.role == .responder, messageID: messageID)
        guard let bytes = try? Message(header: header, payloads: payloads).encoded() else { return }
        inject(bytes, to: host)
    }

    /// A message to `host` that the other end's keys protect, with whatever inside.
    func injectProtected(
        to host: TestHost, _ exchange: ExchangeType, _ direction: IKEHeader.Direction, messageID: UInt32,
        _ payloads: [Payload]
    ) {
        let sender = host === west ? east : west
        guard let session = sender.session, let protection = session.phase.protection else { return }
        let header = IKEHeader(
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, exchange: exchange,
            direction: direction, isFromInitiator: session.role == .initiator, messageID: messageID)
        let message = Message(header: header, encryptedPayloads: payloads)
        guard let bytes = try? message.sealed(with: protection.outbound) else { return }
        inject(bytes, to: host)
    }

    /// What is inside of the protected message that was sent as the `number`th, from 1. West is the initiator.
    func contents(of number: Int) -> [Payload]? {
        guard datagrams.indices.contains(number - 1),
            let message = try? ReceivedMessage(decoding: datagrams[number - 1]),
            let receiver = message.header.isFromInitiator ? east.session : west.session,
            let protection = receiver.phase.protection
        else { return nil }
        return try? message.open(with: protection.inbound).encryptedPayloads
    }
}
