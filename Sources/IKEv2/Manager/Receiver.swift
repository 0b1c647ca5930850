import Cryptography
import IKEv2Messages
import Packets

/// The way of an IKE message from the socket to its session.
///
/// 1. The header: version (RFC 7296 section 2.5), then the SPI that we have chosen names the session.
/// 2. A message for a session goes to it.
/// 3. An IKE_SA_INIT request without our SPI: repeated, or a new one that has to be admitted.
/// 4. Anything else is for an IKE SA that we do not have (section 2.21.4).
final class Receiver {
    private let context: ManagerContext
    private let table: SessionTable
    private let connections: Connections
    private let admission: Admission
    private let driver: SessionDriver
    private let doubts: Doubts

    init(
        context: ManagerContext, table: SessionTable, connections: Connections, admission: Admission,
        driver: SessionDriver, doubts: Doubts
    ) {
        self.context = context
        self.table = table
        self.connections = connections
        self.admission = admission
        self.driver = driver
        self.doubts = doubts
    }

    /// One IKE message as it arrived, without a non-ESP marker.
    func receive(_ datagram: [UInt8], path: Path) {
        context.count.received += 1
        guard let received = try? ReceivedHeader(decoding: datagram) else {
            admission.remark("\(datagram.count) bytes from \(path.remote) are not an IKE message", path)
            return context.count.malformed += 1
        }
        let header = received.header
        guard received.majorVersion == 2 else { return refuseVersion(received, path: path) }
        let ownSPI = header.isFromInitiator ? header.responderSPI : header.initiatorSPI
        if let record = table.session(ownSPI: ownSPI) {
            deliver(datagram, path: path, to: record)
        } else if header.isFirstRequest {
            let key = InitialKey(initiatorSPI: header.initiatorSPI, remote: path.remote)
            if let record = table.session(initialKey: key, request: datagram) {
                deliver(datagram, path: path, to: record)
            } else {
                begin(datagram, header, path: path, key: key)
            }
        } else {
            refuseUnknown(received, datagram, path: path)
        }
    }

    // MARK: 2. For a session

    private func deliver(_ datagram: [UInt8], path: Path, to record: SessionRecord) {
        guard let slot = record.slot else {
            guard case .success(let message) = decode(datagram, path) else { return }
            doubts.takeHint(message, path: path, about: record)
            return driver.apply(
                record.session.receive(message, path: path, environment: driver.environment), of: record)
        }
        // Nobody has proved anything yet.
        guard admission.mayGoOn(slot.standing) else { return }
        admission.measure(slot.standing) {
            guard case .success(let message) = decode(datagram, path) else { return }
            driver.apply(record.session.receive(message, path: path, environment: driver.environment), of: record)
            if record.session.isRefused, let oldest = admission.retire(record) {
                driver.apply(oldest.session.forgetRefusal(environment: driver.environment), of: oldest)
            }
        }
    }

    private func decode(_ datagram: [UInt8], _ path: Path) -> Result<ReceivedMessage, DecodingFailure> {
        let result = Result { () throws(DecodingFailure) in try ReceivedMessage(decoding: datagram) }
        if case .failure(let failure) = result {
            context.count.malformed += 1
            admission.remark("a message from \(path.remote) is malformed: \(failure)", path)
        }
        return result
    }

    // MARK: 3. A peer begins

    /// Cookie and limits, then the connections that the peer may mean.
    private func begin(_ datagram: [UInt8], _ header: IKEHeader, path: Path, key: InitialKey) {
        let slot = admission.slot(of: path.remote.address)
        switch admission.judge(datagram, header, path: path, slot) {
        case .refused: return
        case .cookie(let cookie):
            send(header.response(responderSPI: 0), NotifyPayload(.cookie, data: cookie), path: path)
        case .admitted:
            admission.measure(slot.standing) { respond(datagram, header, path: path, key: key, slot: slot) }
        }
    }

    private func respond(
        _ datagram: [UInt8], _ header: IKEHeader, path: Path, key: InitialKey, slot: HalfOpenLimits.Slot
    ) {
        let message: ReceivedMessage
        switch decode(datagram, path) {
        case .success(let decoded): message = decoded
        case .failure(let failure): return refuseMalformed(header, failure, path: path)
        }
        let candidates = connections.candidates(for: path)
        if candidates.connections.isEmpty {
            context.count.withoutConnection += 1
            admission.complain(
                "no connection for a peer at \(path.remote.address) that came to \(path.local.address)", path)
            return refuse(message.header, NotifyPayload(.noProposalChosen), path: path)
        }
        let (session, actions) = Session.respond(
            to: message, path: path, candidates: candidates,
            timeoutInSeconds: admission.timeout(for: slot.standing), environment: driver.environment)
        guard let session else { return driver.apply(actions, path: path) }
        let record = SessionRecord(
            session, beganAt: context.now, slot: slot, initialKey: key, initialHash: sha1(datagram))
        guard table.add(record) else { return }
        context.count.responded += 1
        driver.apply(actions, of: record)
    }

    // MARK: 4. For no session

    /// RFC 7296 section 2.5: a request of a later version is told the highest one that we have.
    private func refuseVersion(_ received: ReceivedHeader, path: Path) {
        context.count.wrongVersion += 1
        guard received.majorVersion > 2 else { return }
        refuse(received.header, NotifyPayload(.invalidMajorVersion), path: path)
    }

    /// RFC 7296 section 2.21.4: a request for an IKE SA that we do not have, as after a restart. A peer that says so
    /// of an SA of ours gets no answer (section 1.5).
    private func refuseUnknown(_ received: ReceivedHeader, _ datagram: [UInt8], path: Path) {
        context.count.unknownSPI += 1
        guard received.header.exchange != .initial, !context.isShuttingDown else { return }
        if received.isNotice { return doubts.takeNotice(datagram, path: path) }
        refuse(received.header, NotifyPayload(.invalidIKESPI), path: path)
    }

    /// RFC 7296 section 2.5: the sender of a first request with an unknown critical payload is told which. What else is
    /// malformed gets no answer.
    private func refuseMalformed(_ header: IKEHeader, _ failure: DecodingFailure, path: Path) {
        guard case .unsupportedCriticalPayload = failure.problem else { return }
        refuse(header, failure.answer, path: path)
    }

    /// The answer to a request, if there have not been too many.
    private func refuse(_ header: IKEHeader, _ error: NotifyPayload, path: Path) {
        guard header.direction == .request, admission.maySendError(path) else { return }
        send(header.response(), error, path: path)
    }

    /// Sends a message that has no more than one notification, unprotected.
    private func send(_ header: IKEHeader, _ notify: NotifyPayload, path: Path) {
        let message = Message(header: header, payloads: [.notify(notify)])
        guard let bytes = try? message.encoded() else { return }
        context.count.sent += 1
        context.output.send(bytes, path: path)
        admission.report(
            MessageLine(message, way: .sent, peer: path.remote.description, bytes: bytes.count), path: path)
    }
}

extension IKEHeader {
    /// An IKE_SA_INIT request of a peer that does not know our SPI yet.
    fileprivate var isFirstRequest: Bool {
        exchange == .initial && direction == .request && isFromInitiator && messageID == 0 && responderSPI == 0
            && initiatorSPI != 0
    }
}
