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
            guard let received = try? ReceivedHeader(decoding: datagram) else {
                remark("\(datagram.count) bytes from \(path.remote) are no IKE message", path)
                return count.malformed += 1
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
    }

    private func deliver(_ datagram: [UInt8], path: Path, to record: SessionRecord) {
        guard let slot = record.slot else {
            guard case .success(let message) = decode(datagram, path) else { return }
            takeHint(message, path: path, about: record)
            return apply(record.session.receive(message, path: path, environment: self), of: record)
        }
        // Nobody has proved anything yet.
        guard admission.mayGoOn(slot.standing, at: now) else { return count.refusedForTime += 1 }
        measuring(slot.standing) {
            guard case .success(let message) = decode(datagram, path) else { return }
            apply(record.session.receive(message, path: path, environment: self), of: record)
            if record.session.isRefused { retire(record) }
        }
    }

    /// The peer was refused. Its slot is free for others; the answer stays as long as there are not too many of them.
    private func retire(_ record: SessionRecord) {
        table.endHalfOpen(record)
        guard let oldest = refusedSessions.add(record.id).flatMap({ table[$0] }), oldest.session.isRefused else {
            return
        }
        apply(oldest.session.forgetRefusal(environment: self), of: oldest)
    }

    /// Charges the processor time of `body`.
    private func measuring(_ standing: PeerStanding, _ body: () -> Void) {
        let begun = processorTime()
        body()
        let ended = processorTime()
        admission.charge(ended > begun ? ended - begun : 0, to: standing, at: now)
    }

    private func decode(_ datagram: [UInt8], _ path: Path) -> Result<ReceivedMessage, DecodingFailure> {
        let result = Result { () throws(DecodingFailure) in try ReceivedMessage(decoding: datagram) }
        if case .failure(let failure) = result {
            count.malformed += 1
            remark("a message from \(path.remote) is malformed: \(failure)", path)
        }
        return result
    }

    /// Bytes of an IKE_SA_INIT request, which is kept until IKE_AUTH is done. RFC 7296 section 2 wants 3000 to be taken.
    private static let longestInitialRequest = 8192

    /// A peer begins: cookie and limits, then the connections that it may mean.
    private func begin(_ datagram: [UInt8], _ header: IKEHeader, path: Path, key: InitialKey) {
        if isShuttingDown { return }
        if datagram.count > Self.longestInitialRequest {
            remark("an IKE_SA_INIT request of \(datagram.count) bytes from \(path.remote) is too long", path)
            return count.malformed += 1
        }
        let slot = HalfOpenLimits.Slot(address: path.remote.address, standing: standing(of: path.remote.address))
        guard mayBeAnswered(datagram, header, path: path, slot.standing), hasRoom(for: slot) else { return }
        measuring(slot.standing) { respond(datagram, header, path: path, key: key, slot: slot) }
    }

    private func respond(
        _ datagram: [UInt8], _ header: IKEHeader, path: Path, key: InitialKey, slot: HalfOpenLimits.Slot
    ) {
        let message: ReceivedMessage
        switch decode(datagram, path) {
        case .success(let decoded): message = decoded
        case .failure(let failure): return refuseMalformed(header, failure, path: path)
        }
        let isNamed = connectionTable.names(path.remote.address) || names.holds(path.remote.address)
        let candidates = candidateCache.candidates(for: path, in: connectionTable, names: names, isNamed: isNamed)
        if candidates.connections.isEmpty {
            count.withoutConnection += 1
            complain("no connection for a peer at \(path.remote.address) that came to \(path.local.address)", path)
            return refuse(message.header, .noProposalChosen, path: path)
        }
        let (session, actions) = Session.respond(
            to: message, path: path, candidates: candidates, timeoutInSeconds: timeout(for: slot.standing),
            environment: self)
        guard let session else { return apply(actions, path: path) }
        let record = SessionRecord(session)
        record.beganAt = now
        record.initialKey = key
        record.initialHash = sha1(datagram)
        record.slot = slot
        guard table.add(record) else { return }
        count.responded += 1
        apply(actions, of: record)
    }

    /// A stranger's time under load, in seconds (RFC 8019 section 4.2): IKE_AUTH follows at once, or once more after a
    /// second or three.
    private static let shortTimeout: UInt64 = 5

    private func timeout(for standing: PeerStanding) -> UInt64 {
        let isLoaded = standing == .stranger && table.halfOpen.count(.stranger) >= room(for: .stranger) / 2
        let timeout = settings.halfOpenTimeoutInSeconds
        return isLoaded ? min(timeout, Self.shortTimeout) : timeout
    }

    /// Half-open negotiations that peers of a standing may have. The rest is kept for those that are known.
    private func room(for standing: PeerStanding) -> Int {
        standing == .known ? settings.maximumHalfOpen : (settings.maximumHalfOpen + 1) / 2
    }

    /// Whether a new negotiation may begin.
    private func hasRoom(for slot: HalfOpenLimits.Slot) -> Bool {
        let halfOpen = table.halfOpen
        if halfOpen.total >= settings.maximumHalfOpen || halfOpen.count(slot.standing) >= room(for: slot.standing) {
            count.refusedHalfOpen += 1
            return false
        }
        if halfOpen.isFull(around: slot, share: settings.maximumHalfOpenPerAddress) {
            count.refusedHalfOpenPerAddress += 1
            return false
        }
        if table.count >= settings.maximumSessions {
            count.refusedSessions += 1
            return false
        }
        guard admission.mayBegin(slot.standing, at: now) else {
            count.refusedForTime += 1
            return false
        }
        return true
    }

    /// Whether the request may be looked at. Nothing is remembered of a peer that has not shown a cookie when there is
    /// reason to ask for one (RFC 7296 section 2.6), and next to nothing is done for it.
    private func mayBeAnswered(
        _ datagram: [UInt8], _ header: IKEHeader, path: Path, _ standing: PeerStanding
    ) -> Bool {
        let isOften = admission.needsCookie(standing, at: now)
        let needsCookie = isOften || table.halfOpen.count(standing) >= settings.cookieThreshold
        if !needsCookie { return mayReach(path, standing) }
        guard let evidence = CookieEvidence(initialRequest: datagram) else {
            remark("an IKE_SA_INIT request from \(path.remote) is malformed", path)
            count.malformed += 1
            return false
        }
        if isOurs(evidence, header, path: path) { return true }
        if mayReach(path, standing) { demandCookie(evidence, header, path: path) }
        return false
    }

    /// Whether an answer may go to who has not shown that it is there: on our own links only to few that are unknown.
    func mayReach(_ path: Path, _ standing: PeerStanding) -> Bool {
        if standing == .known || !output.needsNeighbour(path.remote.address) || linkAnswers.allow(now: now) {
            return true
        }
        count.answersHeldBack += 1
        return false
    }

    private func isOurs(_ evidence: CookieEvidence, _ header: IKEHeader, path: Path) -> Bool {
        guard let cookie = evidence.cookie else { return false }
        let isOurs = cookies.accepts(
            cookie, nonce: evidence.nonce, initiatorSPI: header.initiatorSPI, from: path.remote.address, at: now)
        if isOurs { count.cookiesAccepted += 1 } else { count.cookiesRejected += 1 }
        return isOurs
    }

    private func demandCookie(_ evidence: CookieEvidence, _ header: IKEHeader, path: Path) {
        let cookie = cookies.cookie(
            nonce: evidence.nonce, initiatorSPI: header.initiatorSPI, from: path.remote.address, at: now)
        guard let cookie else { return }
        count.cookiesSent += 1
        send(header.response(responderSPI: 0), NotifyPayload(.cookie, data: cookie), path: path)
    }
}

extension IKEHeader {
    /// An IKE_SA_INIT request of a peer that does not know our SPI yet.
    fileprivate var isFirstRequest: Bool {
        exchange == .initial && direction == .request && isFromInitiator && messageID == 0 && responderSPI == 0
            && initiatorSPI != 0
    }
}
