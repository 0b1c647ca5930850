import IKEv2Messages
import Packets

/// Answers outside of any IKE SA. They are unprotected and cost whoever is named as the sender a packet, so there are few.
extension SessionManager {
    /// RFC 7296 section 2.5: a request of a later version is told the highest one that we have.
    func refuseVersion(_ received: ReceivedHeader, path: Path) {
        count.wrongVersion += 1
        guard received.majorVersion > 2 else { return }
        refuse(received.header, .invalidMajorVersion, path: path)
    }

    /// RFC 7296 section 2.21.4: a request for an IKE SA that we do not have, as after a restart. A peer that says so
    /// of an SA of ours gets no answer (section 1.5).
    func refuseUnknown(_ received: ReceivedHeader, _ datagram: [UInt8], path: Path) {
        count.unknownSPI += 1
        guard received.header.exchange != .initial, !isShuttingDown else { return }
        if received.isNotice { return takeNotice(datagram, path: path) }
        refuse(received.header, .invalidIKESPI, path: path)
    }

    /// RFC 7296 section 2.5: the sender of a first request with an unknown critical payload is told which. What else is
    /// malformed gets no answer.
    func refuseMalformed(_ header: IKEHeader, _ failure: DecodingFailure, path: Path) {
        guard case .unsupportedCriticalPayload = failure.problem else { return }
        refuse(header, failure.answer, path: path)
    }

    func refuse(_ header: IKEHeader, _ error: NotifyType, path: Path) {
        refuse(header, NotifyPayload(error), path: path)
    }

    /// The answer to a request, if there have not been too many.
    func refuse(_ header: IKEHeader, _ error: NotifyPayload, path: Path) {
        guard header.direction == .request else { return }
        guard unprotectedErrors.allow(now: now), mayReach(path, standing(of: path.remote.address)) else {
            return count.unprotectedErrorsSuppressed += 1
        }
        count.unprotectedErrorsSent += 1
        send(header.response(), error, path: path)
    }

    /// Sends a message that has no more than one notification, unprotected.
    func send(_ header: IKEHeader, _ notify: NotifyPayload, path: Path) {
        let message = Message(header: header, payloads: [.notify(notify)])
        guard let bytes = try? message.encoded() else { return }
        count.sent += 1
        output.send(bytes, path: path)
        report(MessageLine(message, way: .sent, peer: path.remote.description, bytes: bytes.count), path: path)
    }

    /// A line about a message of no session. Strangers can cause any number of them; of a flood not all are told.
    func report(_ line: @autoclosure () -> MessageLine, path: Path) {
        guard strangerLines.allow(now: now) else { return }
        output.report(ManagerEvent(ike: .none(path: path), event: .session(.message(line()))))
    }

    /// A debug record of what strangers send and nobody answers for; of a flood not all are told.
    func remark(_ text: @autoclosure () -> String, _ path: Path) {
        guard strangerLines.allow(now: now) else { return }
        output.report(ManagerEvent(ike: .none(path: path), event: .note(.debug, text())))
    }

    /// A warning that strangers can cause, so that it must not fill the log.
    func complain(_ text: @autoclosure () -> String, _ path: Path) {
        guard mayComplain(of: path.remote.address) else { return }
        output.report(ManagerEvent(ike: .none(path: path), event: .note(.warning, text())))
    }
}

extension IKESAStatus {
    /// For events outside of any IKE SA.
    static func none(connection: String = "", path: Path? = nil) -> IKESAStatus {
        let nowhere = Endpoint(.unspecified(.ipv4), port: 0)
        return IKESAStatus(
            id: 0, connectionName: connection, state: .connecting, isInitiator: false, initiatorSPI: 0,
            responderSPI: 0, path: path ?? Path(local: nowhere, remote: nowhere))
    }
}
