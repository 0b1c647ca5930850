import Cryptography
import IKEv2Messages

// IKE_AUTH as the responder (RFC 7296 section 1.2), and what both sides do when it is done.

extension Session {
    func respondToAuthentication(
        _ request: Message, form: MessageForm.Name, _ state: Authenticating, path: Path, _ step: inout Step
    ) {
        // The initiator may have gone to port 4500.
        self.path = path
        do throws(ChildRefusal) {
            let peer = try identify(request, form, state, step)
            // A peer that has lost the earlier one says so: then it is replaced.
            if !request.has(.initialContact),
                step.environment.refusesDuplicate(peer.connection, local: peer.local, remote: peer.verified.identity)
            {
                throw ChildRefusal(
                    .authenticationFailed,
                    Explanation(
                        "\(peer.verified.identity) is connected already",
                        remedy: "set connections.\(peer.connection.name).unique = replace"))
            }
            let proof = try prove(peer, request, state, step)
            connection = peer.connection
            establish(local: peer.local, remote: peer.verified.identity, state, &step)
            step.reportAfterAnswer(.established(initialContact: request.has(.initialContact)))
            if request.configuration?.type == .request {
                step.note(
                    .warning,
                    "\(peer.verified.identity) asks for an address and other settings (CFG_REQUEST), which a "
                        + "site-to-site gateway does not give; a client that needs them ends the IKE SA again")
            }
            let child = form == .authenticationRequest ? respondWithChild(request, state, &step) : []
            sendAnswer(to: request.header, proof + child, path: path, &step)
        } catch {
            sendAnswer(to: request.header, [.notify(error.notify)], path: path, &step)
            step.report(.failed(error.explanation))
            // The answer may be lost, so the session stays to repeat it until the half-open time is over.
            phase = .refused(state.protection, .negotiationFailed(error.explanation))
        }
    }

    /// A peer that has proved who it is, and the connection that is for it.
    private struct Identified {
        var connection: Connection
        var verified: VerifiedPeer
        /// Who we are to it.
        var local: Identity
    }

    /// Finds the connection by the identities, and of several the first by which the proof holds.
    private func identify(
        _ request: Message, _ form: MessageForm.Name, _ state: Authenticating, _ step: Step
    ) throws(ChildRefusal) -> Identified {
        guard let initiator = request.identificationInitiator, form != .eapRequest, form != .eapFinalRequest else {
            throw ChildRefusal(.invalidSyntax, Explanation("IKE_AUTH without an identity"))
        }
        guard let authentication = request.authentication else {
            throw ChildRefusal(
                .authenticationFailed,
                Explanation(
                    "authentication failed: the peer wants EAP, which is not supported",
                    remedy: "let the peer use a shared key or certificates"))
        }
        let wanted = request.identificationResponder
        let identity = Identity(initiator)
        let fitting = identity.map {
            PeerAuthentication.connections(state.candidates, for: $0, wanted: wanted.flatMap(Identity.init))
        }
        var failure: Explanation?
        var refusal: ChildRefusal?
        // A connection names this identity alone, and the peer could not prove that it is the one.
        var isDisproved = false
        for connection in fitting ?? [] {
            let isExact = identity?.matches(connection.remote.identity) == Identity.exactMatch
            if isDisproved && !isExact { break }
            let context = authenticationContext(connection, step)
            let local = localIdentity(context, request)
            do {
                let verified = try PeerAuthentication.verify(
                    authentication, of: state.octets(of: initiator, sender: .initiator), to: local,
                    certificates: request.certificates, context)
                // Only who has proved itself learns what the connection wants.
                guard let problem = childlessProblem(connection, form) else {
                    return Identified(connection: connection, verified: verified, local: local)
                }
                refusal = refusal ?? problem
            } catch {
                failure = failure ?? error.explanation
                isDisproved = isDisproved || isExact
            }
        }
        throw refusal
            ?? ChildRefusal(
                .authenticationFailed,
                failure
                    ?? PeerAuthentication.explainNoConnection(state.candidates, for: initiator, wanted: wanted))
    }

    /// Who we are: as configured, else whom the peer wants, else what our certificate says.
    private func localIdentity(_ context: AuthenticationContext, _ request: Message) -> Identity {
        let configured = context.connection.local.identity ?? .any
        if configured == .any, let wanted = request.identificationResponder.flatMap(Identity.init) {
            if case .preSharedKey = context.connection.local.method { return wanted }
        }
        return PeerAuthentication.localIdentity(context, requests: request.certificateRequests)
    }

    /// RFC 6023 section 4: who does not do it answers as one who does not know it. nil: the request has the right form.
    private func childlessProblem(_ connection: Connection, _ form: MessageForm.Name) -> ChildRefusal? {
        let isChildless = form == .childlessAuthenticationRequest
        let line = "connections.\(connection.name).childless"
        if isChildless && connection.childless == .never {
            return ChildRefusal(
                .invalidSyntax, Explanation("the peer wants an IKE SA without a child", remedy: "set \(line) = allow"))
        }
        if !isChildless && connection.childless == .force {
            return ChildRefusal(
                .invalidSyntax, Explanation("the peer wants a child in IKE_AUTH", remedy: "set \(line) = allow"))
        }
        return nil
    }

    /// IDr [CERT…] AUTH.
    private func prove(
        _ peer: Identified, _ request: Message, _ state: Authenticating, _ step: Step
    ) throws(ChildRefusal) -> [Payload] {
        guard let own = peer.local.payload else {
            throw ChildRefusal(
                .authenticationFailed,
                Explanation("we have no identity", remedy: "set connections.\(peer.connection.name).local.id"))
        }
        var context = authenticationContext(peer.connection, step)
        context.verifiedPeer = peer.verified
        do throws(AuthenticationFailure) {
            let (authentication, certificates) = try PeerAuthentication.prove(
                state.octets(of: own, sender: .responder), to: peer.verified.identity,
                requests: request.certificateRequests, context)
            return [.identificationResponder(own)] + certificates.map { .certificate($0) }
                + [.authentication(authentication)]
        } catch {
            throw ChildRefusal(.authenticationFailed, error.explanation)
        }
    }

    /// SA TSi TSr, or the notify that says why not: then the IKE SA is up alone (section 1.2).
    private func respondWithChild(_ request: Message, _ state: Authenticating, _ step: inout Step) -> [Payload] {
        do throws(ChildRefusal) {
            let agreement = try agreement(
                on: request, among: connection?.negotiated ?? [], withKeyExchange: false, &step)
            do throws(ChildRefusal) {
                let sa = try makeChild(
                    agreement, secret: nil, initiatorNonce: state.initiatorNonce,
                    responderNonce: state.responderNonce, initiator: false, &step)
                install(sa, isAnswer: true, &step)
                return childAnswer(agreement)
            } catch {
                step.act(.releaseSPI(agreement.inboundSPI))
                throw error
            }
        } catch {
            step.reportAfterAnswer(.childFailed(name: connection?.negotiated.first?.name ?? "", error.explanation))
            return [.notify(error.notify)]
        }
    }
}

// MARK: - Both sides

extension Authenticating {
    /// What the AUTH payload of a side covers.
    func octets(of identity: IdentificationPayload, sender: IKERole) -> SignedOctets {
        SignedOctets(
            message: sender == .initiator ? initialRequest : initialResponse,
            peerNonce: sender == .initiator ? responderNonce : initiatorNonce, identity: identity,
            key: protection.keys.authenticationKey(sender), function: protection.selected.function)
    }
}

extension Session {
    func authenticationContext(_ connection: Connection, _ step: Step) -> AuthenticationContext {
        AuthenticationContext(
            connection: connection, credentials: step.credentials, path: path, peerHashes: peer.signatureHashes,
            wallClock: step.environment.wallClock)
    }

    /// The IKE SA is up; its times begin.
    func establish(local: Identity, remote: Identity, _ state: Authenticating, _ step: inout Step) {
        phase = .established(
            Established(
                state.protection, local: local, remote: remote, connection: connection, step))
        halfOpenUntil = nil
        lastHeardAt = step.now
        noteShortNonce(
            role == .initiator ? state.responderNonce : state.initiatorNonce, state.protection.selected, &step)
    }

    /// A nonce of less than half the key of the PRF is against RFC 7296 section 2.10, and no reason to be without a tunnel.
    func noteShortNonce(_ nonce: [UInt8], _ selected: SelectedIKE, _ step: inout Step) {
        let least = selected.function.outputLength / 2
        if nonce.count >= least { return }
        step.note(
            .warning,
            "the peer's nonce has \(nonce.count) bytes, and \(selected.function.name) wants \(least): update the peer, "
                + "or choose a PRF with a shorter key")
    }

    /// AUTH_LIFETIME (RFC 4478): the responder wants to be asked again by then.
    func takeLifetime(_ response: Message, _ step: inout Step) {
        guard case .established(var state) = phase,
            let seconds = response.notify(.authenticationLifetime)?.authenticationLifetimeInSeconds, seconds > 0
        else { return }
        let at = step.now.addingWithoutOverflow(.seconds(UInt64(seconds) - UInt64(seconds) / 10))
        state.reauthenticateAt = min(state.reauthenticateAt ?? .max, at)
        phase = .established(state)
    }
}

extension Established {
    /// Up now, by authentication or by a rekey. Rekeys come up to `randomTime` earlier by chance; the hard limit is
    /// `overTime` after the first of them.
    init(_ protection: Protection, local: Identity, remote: Identity, connection: Connection?, _ step: Step) {
        self.protection = protection
        localIdentity = local
        remoteIdentity = remote
        establishedAt = step.now
        guard let connection else { return }
        func due(_ time: UInt64) -> UInt64? {
            if time == 0 { return nil }
            let early = step.environment.random(below: .seconds(min(connection.randomTime, time - 1)))
            return step.now.addingWithoutOverflow(.seconds(time)) - early
        }
        rekeyAt = due(connection.rekeyTime)
        reauthenticateAt = due(connection.reauthenticationTime)
        let times = [connection.rekeyTime, connection.reauthenticationTime].filter { $0 > 0 }
        expiresAt = times.min().map { time in
            step.now.addingWithoutOverflow(.seconds(time)).addingWithoutOverflow(.seconds(connection.overTime))
        }
    }
}
