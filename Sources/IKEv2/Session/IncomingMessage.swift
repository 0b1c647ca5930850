import IKEv2Messages

/// A message whose SPIs are those of a session; whether it is authentic is found out here.
struct IncomingMessage {
    let session: Session
    let received: ReceivedMessage
    let path: Path

    func handle(_ step: inout Step) {
        switch (received.header.direction, received.encrypted != nil) {
        case (.request, true): handleRequest(&step)
        case (.response, true): handleResponse(&step)
        case (.request, false): handlePlainRequest(&step)
        case (.response, false): handlePlainResponse(&step)
        }
    }

    // MARK: - Requests

    private func handleRequest(_ step: inout Step) {
        guard let protection = session.phase.protection, isFromPeer, !isBeforeAuthentication else { return }
        switch session.window.judge(request: received.header.messageID) {
        case .new:
            // There is no IKE SA for anything new (RFC 7296 section 2.21.2).
            if session.isRefused { return }
            switch session.opener.open(received, protection, trust, step) {
            case .nothing: return
            case .undecodable(let failure):
                report(&step)
                session.heard(on: path, &step)
                answerBroken(failure.answer, "\(failure)", isFatal: !session.isEstablished, &step)
            case .message(let opened, let size):
                report(opened, size, &step)
                session.heard(on: path, &step)
                answer(opened, &step)
            }
        case .repeated(let answer):
            // Of fragments only the first is answered (RFC 7383 section 2.6.1); of forgeries none.
            guard received.encrypted?.fragment?.number ?? 1 == 1, isAuthentic(protection) else { return }
            report(&step)
            step.act(.send(answer.outgoing(path: path, repetition: 1)))
        case .beyond:
            guard !session.isRefused, isAuthentic(protection) else { return }
            report(&step)
            if session.liveness.takeHint(at: step.now) {
                session.exchanges.add(WrongMessageIDExchange(messageID: received.header.messageID))
            }
        // It is worked on, or was answered before, or somebody says so: anybody can bring that about at any rate.
        case .inHand, .old: break
        }
    }

    /// A new, authentic request.
    private func answer(_ request: Message, _ step: inout Step) {
        let form: MessageForm.Name
        do {
            form = try MessageRules.check(request).name
        } catch {
            let isFatal = !session.isEstablished || error.isOfHeaderOrProtection
            answerBroken(error.answer, "\(error)", isFatal: isFatal, &step)
            return
        }
        let informational = InformationalRequest(session: session, request: request)
        switch (session.phase, request.header.exchange) {
        case (.authenticating(let state), .authentication)
        where session.role == .responder && session.phase.admits(.authentication):
            AuthenticationRequest.begin(request, form, state, path: path, in: session, &step)
        case (.established, .createChild):
            answer(CreateChildExchange.respond(to: request, form: form, in: session, &step), &step)
        case (.established, .informational):
            answer(informational.respond(&step), &step)
        case (.authenticating, .informational):
            // The initiator could not authenticate us, and says so (RFC 7296 section 2.21.2).
            answer(informational.respondEarly(&step), &step)
        default:
            // Nothing of the kind is due; an exchange that is unknown here has no rules and does not come so far.
            answerBroken(
                NotifyPayload(.invalidSyntax), "\(request.header.exchange) is out of turn",
                isFatal: !session.isEstablished, &step)
        }
    }

    private func answer(_ payloads: [Payload], _ step: inout Step) {
        session.sender.answer(to: received.header, payloads, path: path, &step)
    }

    /// An authentic request that cannot be understood (RFC 7296 sections 2.5 and 2.21.3). An IKE SA that is up stays so:
    /// it is the exchange that came to nothing, and what else the peer says is as good as before. A peer that sees it
    /// otherwise deletes the IKE SA. `isFatal`: nothing in such a message can be relied on, or nothing is up yet.
    private func answerBroken(_ notify: NotifyPayload, _ problem: String, isFatal: Bool, _ step: inout Step) {
        let summary = "the peer's request \(received.header.messageID) is refused with \(notify.type)"
        step.note(.warning, "\(summary): \(problem)")
        answer([.notify(notify)], &step)
        if !isFatal { return }
        let explanation = Explanation(summary, details: [problem])
        if !session.isEstablished { step.report(.failed(explanation)) }
        step.close(.negotiationFailed(explanation))
    }

    /// A request outside SK: a repetition of IKE_SA_INIT, byte for byte, gets the same answer; anything else is a hint
    /// at most (section 2.21.4).
    private func handlePlainRequest(_ step: inout Step) {
        if case .authenticating(let state) = session.phase, received.bytes == state.initialRequest,
            case .repeated(let answer) = session.window.judge(request: 0)
        {
            report(&step)
            step.act(.send(answer.outgoing(path: path, repetition: 1)))
            return
        }
        guard session.isEstablished, received.plainMessage?.errorNotify != nil else { return }
        if session.liveness.takeHint(at: step.now) { session.askForLife() }
    }

    // MARK: - Responses

    private func handleResponse(_ step: inout Step) {
        guard let protection = session.phase.protection, isFromPeer, session.window.awaits(received.header),
            session.isFromItsPlace(path)
        else { return }
        switch session.opener.open(received, protection, trust, step) {
        case .nothing: return
        case .undecodable(let failure):
            report(&step)
            takeBroken("\(failure)", &step)
        case .message(let opened, let size):
            report(opened, size, &step)
            let form: MessageForm.Name
            do {
                form = try MessageRules.check(opened).name
            } catch {
                takeBroken("\(error)", &step)
                return
            }
            take(opened, form, &step)
        }
    }

    /// The answer to the request that waits for one.
    private func take(_ answer: Message, _ form: MessageForm.Name, _ step: inout Step) {
        session.heard(on: path, &step)
        guard var exchange = session.exchanges.finish() else { return }
        session.window.completed()
        let next = exchange.take(answer, form: form, in: session, &step)
        session.proceed(&exchange, next, &step)
    }

    /// An authentic response that cannot be understood. That of an INFORMATIONAL exchange has nothing in it that we need:
    /// that it came says enough. Of others nobody knows what the peer has made of the request.
    private func takeBroken(_ problem: String, _ step: inout Step) {
        let header = received.header
        guard session.isEstablished, header.exchange == .informational else {
            return giveUp(on: header, problem, &step)
        }
        step.note(.warning, "the peer's answer to request \(header.messageID) is not understood: \(problem)")
        take(Message(header: header, encryptedPayloads: []), .informationalResponse, &step)
    }

    /// An authentic response that is no answer: the two sides no longer agree on anything (RFC 7296 section 2.21).
    private func giveUp(on header: IKEHeader, _ problem: String, _ step: inout Step) {
        let explanation = Explanation(
            "the peer's answer to \(header.exchange) request \(header.messageID) is not valid", details: [problem])
        if !session.isEstablished { step.report(.failed(explanation)) }
        step.note(.warning, explanation.description)
        // The peer still believes in what is up.
        if session.isEstablished {
            session.sender.once(.informational, [.delete(.ikeSA)], &step)
        }
        step.close(.negotiationFailed(explanation))
    }

    /// An answer to IKE_SA_INIT, which anybody could have made up; else a hint.
    private func handlePlainResponse(_ step: inout Step) {
        guard received.header.initiatorSPI == session.initiatorSPI, !received.header.isFromInitiator,
            session.window.awaits(received.header), let message = received.plainMessage
        else { return }
        report(&step)
        if case .initial(let exchange) = session.phase, let form = try? MessageRules.check(message).name {
            exchange.response(received, message, form: form, path: path, in: session, &step)
        } else if let error = message.errorNotify {
            hear(error.type, &step)
        }
    }

    /// An error that came unprotected once there are keys: a hint that anybody can give (section 2.21.4). The request
    /// that it claims to answer is repeated anyway, which tells whether the peer still knows us.
    private func hear(_ error: NotifyType, _ step: inout Step) {
        if case .established(let state) = session.phase, state.state == .deleting, error == .invalidIKESPI,
            let reason = session.exchanges.active?.endsIKE
        {
            // The peer has nothing left to delete; to be fooled here costs nothing.
            step.close(reason)
        } else if session.liveness.takeHint(at: step.now) {
            step.note(.warning, "an answer without protection says \(error); not believed")
        }
    }

    // MARK: - Questions

    /// An initiator to whom the responder has not proved itself yet. A request may have overtaken the answer to IKE_AUTH,
    /// or that was lost: the responder repeats it, and nothing is answered, nor even kept, before it is known who asks.
    private var isBeforeAuthentication: Bool { session.phase.isAuthenticating && session.role == .initiator }

    private var trust: MessageOpener.Trust {
        if session.isEstablished { .proven } else { session.role == .responder ? .unproven : .asked }
    }

    /// The SPIs are ours and the flag says that the other side sent it (RFC 7296 section 3.1).
    private var isFromPeer: Bool {
        let header = received.header
        return header.initiatorSPI == session.initiatorSPI && header.responderSPI == session.responderSPI
            && header.isFromInitiator == (session.role == .responder)
    }

    /// Whether the message, or the fragment, was made by someone who has the keys.
    private func isAuthentic(_ protection: Protection) -> Bool {
        (try? received.openContent(with: protection.inbound)) != nil
    }

    // MARK: - The log

    private func report(_ step: inout Step) {
        step.report(.message(MessageLine(received, peer: "\(path.remote)")))
    }

    private func report(_ message: Message, _ size: MessageOpener.Size, _ step: inout Step) {
        step.report(
            .message(
                MessageLine(
                    message, way: .received, peer: "\(path.remote)", bytes: size.bytes, fragments: size.fragments)))
    }
}
