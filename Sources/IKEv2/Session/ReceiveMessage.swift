import IKEv2Messages

extension Session {
    /// A message whose SPIs are this session's; whether it is authentic is found out here.
    public func receive(
        _ message: ReceivedMessage, path: Path, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in
            switch (message.header.direction, message.encrypted != nil) {
            case (.request, true): receiveRequest(message, path: path, &step)
            case (.response, true): receiveResponse(message, path: path, &step)
            case (.request, false): receivePlainRequest(message, path: path, &step)
            case (.response, false): receivePlainResponse(message, path: path, &step)
            }
        }
    }

    // MARK: - Requests

    private func receiveRequest(_ message: ReceivedMessage, path: Path, _ step: inout Step) {
        guard let protection = phase.protection, isFromPeer(message.header), !isBeforeAuthentication else { return }
        switch window.judge(request: message.header.messageID) {
        case .new:
            // There is no IKE SA for anything new (RFC 7296 section 2.21.2).
            if isRefused { return }
            switch open(message, protection, step) {
            case .nothing: return
            case .undecodable(let failure):
                step.report(.message(MessageLine(message, peer: "\(path.remote)")))
                heard(on: path, &step)
                answerBroken(message.header, failure.answer, "\(failure)", isFatal: !isEstablished, path: path, &step)
            case .message(let opened, let size):
                report(opened, size, path: path, &step)
                heard(on: path, &step)
                answer(opened, path: path, &step)
            }
        case .repeated(let answer):
            // Of fragments only the first is answered (RFC 7383 section 2.6.1); of forgeries none.
            guard message.encrypted?.fragment?.number ?? 1 == 1, isAuthentic(message, protection) else { return }
            step.report(.message(MessageLine(message, peer: "\(path.remote)")))
            step.act(.send(answer.outgoing(path: path, repetition: 1)))
        case .beyond:
            guard !phase.isRefused, isAuthentic(message, protection) else { return }
            step.report(.message(MessageLine(message, peer: "\(path.remote)")))
            hint(&step) { _ in enqueue(WrongMessageIDExchange(messageID: message.header.messageID)) }
        // It was answered before, or somebody says so: anybody can bring that about at any rate.
        case .old: break
        }
    }

    /// A new, authentic request.
    private func answer(_ request: Message, path: Path, _ step: inout Step) {
        let form: MessageForm.Name
        do {
            form = try MessageRules.check(request).name
        } catch {
            let isFatal = !isEstablished || error.isOfHeaderOrProtection
            answerBroken(request.header, error.answer, "\(error)", isFatal: isFatal, path: path, &step)
            return
        }
        switch (phase, request.header.exchange) {
        case (.authenticating(let state), .authentication) where role == .responder:
            respondToAuthentication(request, form: form, state, path: path, &step)
        case (.established, .createChild):
            sendAnswer(to: request.header, respondToCreateChild(request, form: form, &step), path: path, &step)
        case (.established, .informational):
            sendAnswer(to: request.header, respondToInformational(request, &step), path: path, &step)
        case (.authenticating, .informational):
            // The initiator could not authenticate us, and says so (RFC 7296 section 2.21.2).
            sendAnswer(to: request.header, respondToEarlyInformational(request, &step), path: path, &step)
        default:
            // Nothing of the kind is due; an exchange that is unknown here has no rules and does not come so far.
            answerBroken(
                request.header, NotifyPayload(.invalidSyntax), "\(request.header.exchange) is out of turn",
                isFatal: !isEstablished, path: path, &step)
        }
    }

    /// An authentic request that cannot be understood (RFC 7296 sections 2.5 and 2.21.3). An IKE SA that is up stays so:
    /// it is the exchange that came to nothing, and what else the peer says is as good as before. A peer that sees it
    /// otherwise deletes the IKE SA. `isFatal`: nothing in such a message can be relied on, or nothing is up yet.
    private func answerBroken(
        _ header: IKEHeader, _ notify: NotifyPayload, _ problem: String, isFatal: Bool, path: Path, _ step: inout Step
    ) {
        step.note(.warning, "the peer's request \(header.messageID) is refused with \(notify.type): \(problem)")
        sendAnswer(to: header, [.notify(notify)], path: path, &step)
        if !isFatal { return }
        let explanation = Explanation(
            "the peer's request \(header.messageID) is refused with \(notify.type)", details: [problem])
        if !isEstablished { step.report(.failed(explanation)) }
        step.close(.negotiationFailed(explanation))
    }

    // MARK: - Responses

    private func receiveResponse(_ message: ReceivedMessage, path: Path, _ step: inout Step) {
        guard let protection = phase.protection, isFromPeer(message.header), window.awaits(message.header),
            isFromItsPlace(path)
        else { return }
        switch open(message, protection, step) {
        case .nothing: return
        case .undecodable(let failure):
            step.report(.message(MessageLine(message, peer: "\(path.remote)")))
            takeBroken(message.header, "\(failure)", path: path, &step)
        case .message(let opened, let size):
            report(opened, size, path: path, &step)
            let form: MessageForm.Name
            do {
                form = try MessageRules.check(opened).name
            } catch {
                takeBroken(message.header, "\(error)", path: path, &step)
                return
            }
            take(opened, form, path: path, &step)
        }
    }

    /// The answer to the request that waits for one.
    private func take(_ answer: Message, _ form: MessageForm.Name, path: Path, _ step: inout Step) {
        heard(on: path, &step)
        guard var exchange = active else { return }
        active = nil
        window.completed()
        exchange.response(answer, form: form, in: self, &step)
    }

    /// An authentic response that cannot be understood. That of an INFORMATIONAL exchange has nothing in it that we need:
    /// that it came says enough. Of others nobody knows what the peer has made of the request.
    private func takeBroken(_ header: IKEHeader, _ problem: String, path: Path, _ step: inout Step) {
        guard isEstablished, header.exchange == .informational else { return giveUp(on: header, problem, &step) }
        step.note(.warning, "the peer's answer to request \(header.messageID) is not understood: \(problem)")
        take(Message(header: header, encryptedPayloads: []), .informationalResponse, path: path, &step)
    }

    /// An authentic response that is no answer: the two sides no longer agree on anything (RFC 7296 section 2.21).
    private func giveUp(on header: IKEHeader, _ problem: String, _ step: inout Step) {
        let explanation = Explanation(
            "the peer's answer to \(header.exchange) request \(header.messageID) is no such answer", details: [problem])
        if !isEstablished { step.report(.failed(explanation)) }
        step.note(.warning, explanation.description)
        // The peer still believes in what is up.
        if isEstablished {
            sendOnce(.informational, [.delete(.ikeSA)], &step)
        }
        step.close(.negotiationFailed(explanation))
    }

    // MARK: - What all have in common

    /// An initiator to whom the responder has not proved itself yet. A request may have overtaken the answer to IKE_AUTH,
    /// or that was lost: the responder repeats it, and nothing is answered, nor even kept, before it is known who asks.
    private var isBeforeAuthentication: Bool {
        if case .authenticating = phase { role == .initiator } else { false }
    }

    /// The peer was refused in IKE_AUTH: only the answer is left, in case that it was lost.
    var isRefused: Bool {
        phase.isRefused
    }

    /// Nobody is to ask for the answer of a refused one any more.
    func forgetRefusal(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            if case .refused(_, let reason) = phase { step.close(reason) }
        }
    }

    /// The SPIs are ours and the flag says that the other side sent it (RFC 7296 section 3.1).
    private func isFromPeer(_ header: IKEHeader) -> Bool {
        header.initiatorSPI == initiatorSPI && header.responderSPI == responderSPI
            && header.isFromInitiator == (role == .responder)
    }

    /// An authentic, new message came along `path`. From a place to which nothing of ours goes it is no sign that the peer
    /// hears us.
    func heard(on path: Path, _ step: inout Step) {
        follow(path, &step)
        if isFromItsPlace(path) { lastHeardAt = step.now }
    }

    /// Whether a message came from where ours go to, or may go to from now on.
    private func isFromItsPlace(_ from: Path) -> Bool {
        !isEstablished || from.remote.address == path.remote.address
            || nat.follows(from: path.remote, to: from.remote)
    }

    private func report(_ message: Message, _ size: OpenedSize, path: Path, _ step: inout Step) {
        step.report(
            .message(
                MessageLine(
                    message, way: .received, peer: "\(path.remote)", bytes: size.bytes, fragments: size.fragments)))
    }

    /// Does something that anybody could make us do, at most once in ten seconds.
    func hint(_ step: inout Step, _ body: (inout Step) -> Void) {
        if step.now < nextHintAt { return }
        nextHintAt = step.now.addingWithoutOverflow(.seconds(10))
        body(&step)
    }
}
