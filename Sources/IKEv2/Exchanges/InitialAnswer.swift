import Cryptography
import IKEv2Messages

// What an initiator does with the answers to its IKE_SA_INIT (RFC 7296 sections 1.2, 2.6 and 2.21.1).

extension Session {
    /// An answer to IKE_SA_INIT, which anybody could have made up; else a hint.
    func receivePlainResponse(_ received: ReceivedMessage, path: Path, _ step: inout Step) {
        guard received.header.initiatorSPI == initiatorSPI, !received.header.isFromInitiator,
            window.awaits(received.header), let message = received.plainMessage
        else { return }
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
        guard case .initial(let exchange) = phase, let form = try? MessageRules.check(message).name else {
            receiveUnprotectedRefusal(message, &step)
            return
        }
        switch form {
        case .cookieDemand: demanded(exchange, message, &step)
        case .initialRefusal: refused(exchange, message, &step)
        case .initialResponse: accepted(exchange, received, message, path: path, &step)
        default: break
        }
    }

    private func demanded(_ begun: InitialExchange, _ message: Message, _ step: inout Step) {
        var exchange = begun
        // Section 2.6: 1 to 64 bytes.
        guard let cookie = message.notify(.cookie), 1...64 ~= cookie.data.count, cookie != exchange.cookie else {
            return
        }
        exchange.cookie = cookie
        restart(exchange, &step)
    }

    private func restart(_ begun: InitialExchange, _ step: inout Step) {
        var exchange = begun
        exchange.restarts += 1
        guard exchange.restarts <= InitialExchange.maximumRestarts else { return }
        window.takeBack()
        sendInitialRequest(exchange, &step)
    }

    /// INVALID_KE_PAYLOAD is acted on. Anything else is believed when it is said again to a repetition: one who cannot
    /// see our messages could only forge it once (section 2.21.1).
    private func refused(_ begun: InitialExchange, _ message: Message, _ step: inout Step) {
        guard let error = message.errorNotify, let connection else { return }
        var exchange = begun
        if error.type == .invalidKeyExchange {
            let refused = exchange.keyExchange.method
            let wanted = IKENegotiation.retryMethod(error, offered: connection.proposals, refused: refused)
            if let wanted, let fresh = try? KeyExchange(wanted) {
                exchange.keyExchange = fresh
                restart(exchange, &step)
                return
            }
        }
        let explanation =
            (error.type == .noProposalChosen
            ? IKENegotiation.explainRefusal(of: connection.proposals, connection: connection.name)
            : Explanation("the peer refuses IKE_SA_INIT: \(error.type)")).because(error.type)
        if exchange.refusal != nil, window.outstanding?.repetitions ?? 0 > 0 {
            fail(explanation, &step)
        } else {
            exchange.refusal = explanation
            phase = .initial(exchange)
            step.note(.info, "the peer refuses IKE_SA_INIT with \(error.type); asked once more")
        }
    }

    /// Both sides have what keys are made of.
    private func accepted(
        _ exchange: InitialExchange, _ received: ReceivedMessage, _ message: Message, path: Path, _ step: inout Step
    ) {
        guard let connection, let answer = message.securityAssociation, let value = message.keyExchange,
            let nonce = message.nonce
        else { return }
        guard let selected = IKENegotiation.check(answer, offered: connection.proposals),
            selected.keyExchange == exchange.keyExchange.method, value.method.rawValue == selected.keyExchange.rawValue
        else {
            let details = [
                "offered: \(connection.proposals.map(\.description).joined(separator: ", "))",
                "chosen: \(answer.shown)",
            ]
            fail(
                Explanation("the peer chose what was not offered", details: details, remedy: "change the peer"), &step)
            return
        }
        do {
            let keys = try IKEKeys(
                selected, secret: try exchange.keyExchange.sharedSecret(with: value.data),
                initiatorNonce: exchange.nonce, responderNonce: nonce.data, initiatorSPI: initiatorSPI,
                responderSPI: message.header.responderSPI)
            responderSPI = message.header.responderSPI
            lastHeardAt = step.now
            learn(from: message, path: path, forced: connection.forcesEncapsulation)
            window.completed()
            step.environment.logKeys(keys.keyLogLine)
            phase = .authenticating(
                Authenticating(
                    protection: Protection(selected, keys: keys, role: role), initialRequest: exchange.request,
                    initialResponse: received.bytes, initiatorNonce: exchange.nonce, responderNonce: nonce.data,
                    candidateSet: CandidateSet([connection]), certificateRequests: message.certificateRequests))
            floatPorts()
            enqueue(AuthenticationExchange(children: exchange.children, hint: exchange.hint, pair: exchange.pair))
        } catch {
            fail(Explanation("the key exchange failed", details: ["\(error)"]), &step)
        }
    }

    /// What an IKE_SA_INIT says of the peer and the path.
    func learn(from message: Message, path: Path, forced: Bool) {
        nat = NATDetection.situation(message, path: path, forced: forced)
        peer.fragmentation = message.has(.fragmentationSupported)
        peer.childless = message.has(.childlessSupported)
        peer.signatureHashes = message.notify(.signatureHashAlgorithms)?.signatureHashes
    }

    /// An error that came unprotected once there are keys: a hint that anybody can give (section 2.21.4). The request
    /// that it claims to answer is repeated anyway, which tells whether the peer still knows us.
    private func receiveUnprotectedRefusal(_ message: Message, _ step: inout Step) {
        guard let error = message.errorNotify else { return }
        if case .established(let state) = phase, state.state == .deleting, error.type == .invalidIKESPI,
            let delete = active as? DeleteIKEExchange
        {
            // The peer has nothing left to delete; to be fooled here costs nothing.
            step.close(delete.reason)
            return
        }
        hint(&step) { step in step.note(.warning, "an answer without protection says \(error.type); not believed") }
    }
}
