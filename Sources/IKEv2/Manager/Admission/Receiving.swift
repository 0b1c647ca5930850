import Cryptography
import IKEv2Messages
import Packets

extension SessionManager {
    /// One IKE message as it arrived, without a non-ESP marker.
    ///
    /// 1. The header: version (RFC 7296 section 2.5), then whose SPI names the session.
    /// 2. A message for a session goes to it.
    /// 3. An IKE_SA_INIT request without our SPI: repeated, or a new one that has to be admitted.
    /// 4. Anything else is for an IKE SA that we do not have (section 2.21.4).
    public func receive(_ datagram: [UInt8], path: Path, at now: UInt64) {
        run(at: now) {
            count.received += 1
            guard let received = try? ReceivedHeader(decoding: datagram) else { return count.malformed += 1 }
            let header = received.header
            guard received.majorVersion == 2 else { return refuseVersion(received, path: path) }
            let ownSPI = header.isFromInitiator ? header.responderSPI : header.initiatorSPI
            if let record = table.session(ownSPI: ownSPI) {
                deliver(datagram, path: path, to: record)
            } else if header.isFirstRequest {
                let key = InitialKey(request: sha1(datagram), remote: path.remote)
                if let record = table.session(initialKey: key) {
                    deliver(datagram, path: path, to: record)
                } else {
                    begin(datagram, header, path: path, key: key)
                }
            } else {
                refuseUnknown(received, path: path)
            }
        }
    }

    private func deliver(_ datagram: [UInt8], path: Path, to record: SessionRecord) {
        guard case .success(let message) = decode(datagram) else { return }
        apply(record.session.receive(message, path: path, environment: self), of: record)
    }

    private func decode(_ datagram: [UInt8]) -> Result<ReceivedMessage, DecodingFailure> {
        let result = Result { () throws(DecodingFailure) in try ReceivedMessage(decoding: datagram) }
        if case .failure = result { count.malformed += 1 }
        return result
    }

    /// Bytes of an IKE_SA_INIT request, which is kept until IKE_AUTH is done. RFC 7296 section 2 wants 3000 to be taken.
    private static let longestInitialRequest = 8192

    /// A peer begins: cookie and limits, then the connections that it may mean.
    private func begin(_ datagram: [UInt8], _ header: IKEHeader, path: Path, key: InitialKey) {
        if isShuttingDown { return }
        if datagram.count > Self.longestInitialRequest { return count.malformed += 1 }
        let message: ReceivedMessage
        switch decode(datagram) {
        case .success(let decoded): message = decoded
        case .failure(let failure): return refuseMalformed(header, failure, path: path)
        }
        guard isAdmitted(message, path: path) else { return }
        let candidates = connectionTable.candidates(for: path, resolved: names.addresses)
        if candidates.isEmpty {
            count.withoutConnection += 1
            complain("no connection for a peer at \(path.remote.address) that came to \(path.local.address)", path)
            return refuse(message.header, .noProposalChosen, path: path)
        }
        let (session, actions) = Session.respond(to: message, path: path, candidates: candidates, environment: self)
        guard let session else { return apply(actions, path: path) }
        let record = SessionRecord(session)
        record.beganAt = now
        record.initialKey = key
        record.halfOpenAddress = path.remote.address
        guard table.add(record) else { return }
        count.responded += 1
        apply(actions, of: record)
    }

    /// Whether a new negotiation may begin. Nothing is remembered of a peer that has not shown a cookie when there are
    /// many half-open negotiations (RFC 7296 section 2.6).
    private func isAdmitted(_ message: ReceivedMessage, path: Path) -> Bool {
        let halfOpen = table.halfOpen
        if halfOpen.total >= settings.cookieThreshold, !hasCookie(message, path: path) { return false }
        if halfOpen.total >= settings.maximumHalfOpen {
            count.refusedHalfOpen += 1
            return false
        }
        if halfOpen.count(from: path.remote.address) >= settings.maximumHalfOpenPerAddress {
            count.refusedHalfOpenPerAddress += 1
            return false
        }
        if table.count >= settings.maximumSessions {
            count.refusedSessions += 1
            return false
        }
        return true
    }

    /// Whether the request has our cookie, which is its first payload; if not, it is asked for one.
    private func hasCookie(_ message: ReceivedMessage, path: Path) -> Bool {
        guard let nonce = message.nonce, (16...256).contains(nonce.count) else {
            count.malformed += 1
            return false
        }
        let spi = message.header.initiatorSPI
        if case .notify(let notify)? = message.payloads.first, notify.type == .cookie {
            let isOurs = cookies.accepts(
                notify.data, nonce: nonce, initiatorSPI: spi, from: path.remote.address, at: now)
            if isOurs {
                count.cookiesAccepted += 1
                return true
            }
            count.cookiesRejected += 1
        }
        guard
            let cookie = cookies.cookie(nonce: nonce, initiatorSPI: spi, from: path.remote.address, at: now)
        else { return false }
        count.cookiesSent += 1
        send(message.header.response(responderSPI: 0), NotifyPayload(.cookie, data: cookie), path: path)
        return false
    }
}

extension IKEHeader {
    /// An IKE_SA_INIT request of a peer that does not know our SPI yet.
    fileprivate var isFirstRequest: Bool {
        exchange == .initial && direction == .request && isFromInitiator && messageID == 0 && responderSPI == 0
            && initiatorSPI != 0
    }
}

extension ReceivedMessage {
    fileprivate var nonce: [UInt8]? {
        for case .nonce(let payload) in payloads { return payload.data }
        return nil
    }
}
