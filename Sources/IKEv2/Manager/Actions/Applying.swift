import IKEv2Messages

extension SessionManager {
    /// Does what a session asks for, in its order, and then looks when it wants to be called again.
    func apply(_ actions: [SessionAction], of record: SessionRecord) {
        let closing = actions.closeReason
        for action in actions {
            switch action {
            case .send(let message): send(message, of: record)
            case .installInbound(let sa): installInbound(sa, of: record)
            case .installOutbound(let sa): installOutbound(sa, of: record)
            case .installOutboundWhenUsed(let sa): installOutboundWhenUsed(sa, of: record)
            case .removeOutbound(let sa): removeOutbound(sa)
            case .removeInbound(let sa, let atOnce): removeInbound(sa, atOnce: atOnce)
            case .releaseSPI(let spi): dataplane.releaseSPI(spi)
            case .move(let sa, let path, let isEncapsulated): move(sa, to: path, isEncapsulated: isEncapsulated)
            case .report(let event):
                if case .childRekeyed(let old, let new) = event { followRekey(of: old, by: new, in: record) }
                conclude(event, of: record, closing: closing)
            case .explain, .remark: break
            case .replaced(let successor): replace(record, by: successor)
            case .accompanied(let companion): accompany(record, by: companion)
            case .departing(let status): record.departed[status.sa.id] = status
            case .ending(let status): ending(record, status, closing)
            case .successorWanted(let names): succeed(record, children: names)
            case .closed(let reason): close(record, reason)
            }
        }
        record.departed = [:]
        schedule(record)
    }

    /// The same for actions of no session: an answer that leaves no state.
    func apply(_ actions: [SessionAction], path: Path) {
        let status = IKESAStatus.none(path: path)
        for action in actions {
            switch action {
            case .send(let message):
                emit(message)
                report(message.line, path: path)
            case .report(.message(let line)): report(line, path: path)
            case .releaseSPI(let spi): dataplane.releaseSPI(spi)
            case .explain(let explanation):
                if mayComplain(of: path.remote.address) {
                    output.report(ManagerEvent(ike: status, event: .session(.failed(explanation()))))
                }
            case .remark(let text): remark(text(), path)
            case .report(let event): output.report(ManagerEvent(ike: status, event: .session(event)))
            default: break
            }
        }
    }

    private func send(_ message: OutgoingMessage, of record: SessionRecord) {
        record.lastSentAt = now
        emit(message)
        output.report(ManagerEvent(ike: record.brief, event: .session(.message(message.line))))
    }

    private func emit(_ message: OutgoingMessage) {
        count.sent += UInt64(message.datagrams.count)
        for datagram in message.datagrams { output.send(datagram, path: message.path) }
    }
}

extension [SessionAction] {
    /// Why the session is over after these actions, if it is.
    fileprivate var closeReason: CloseReason? {
        for case .closed(let reason) in reversed() { return reason }
        return nil
    }
}

extension SessionRecord {
    /// For events that come with every message: who and where, nothing that has to be computed.
    var brief: IKESAStatus {
        IKESAStatus(
            id: id, connectionName: session.connection?.name ?? "",
            state: isEstablished ? .established : .connecting, isInitiator: session.role == .initiator,
            initiatorSPI: session.initiatorSPI, responderSPI: session.responderSPI, path: session.path)
    }
}
