import IKEv2Messages
import IPsec

// What the manager asks of a session. Where nothing can be done, because the IKE SA is not up or is on its way out, the
// answer is no action.

extension Session {
    /// Negotiates another child. `hint`: the packet that calls for it, which goes first; `pair`: the only one of the
    /// child's selectors that is asked for.
    public func create(
        _ child: Child, hint: TrafficSelector? = nil, pair: SelectorPair? = nil, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { _ in enqueueChild(child, hint: hint, pair: pair) }
    }

    /// Replaces the child of this number by one with fresh keys. `isDue`: a limit is near, so it is tried again when the
    /// peer refuses.
    public func rekeyChild(
        id: UInt32, isDue: Bool = false, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in beginRekey(childID: id, isDue: isDue, &step) }
    }

    /// The child of this number has reached a hard limit: it is deleted at both ends, and made anew if it is wanted.
    public func expireChild(id: UInt32, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            if let index = childIndex(id: id) { expireChild(childRecords[index], &step) }
        }
    }

    /// Replaces the IKE SA by one with fresh keys; the children go with it.
    public func rekeyIKE(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in beginIKERekey(&step) }
    }

    /// Deletes a child at both ends.
    public func deleteChild(
        id: UInt32, reason: String = "deleted", environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { _ in enqueueDelete(childID: id, reason: reason) }
    }

    /// Deletes the IKE SA at both ends; `closed` follows with the peer's answer, or when there is none. One that is not
    /// up is simply given up.
    public func delete(
        _ reason: CloseReason = .terminated, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in
            if isEstablished { enqueueDeleteIKE(reason) } else { step.close(reason) }
        }
    }

    /// Ends at once, without a word to the peer.
    public func abandon(_ reason: CloseReason, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in step.close(reason) }
    }

    /// Asks the peer whether it lives, unless it has to answer something anyway.
    public func probe(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { _ in enqueueLiveness() }
    }

    /// Sends the request that waits for its answer once more, between its ordinary repetitions.
    func repeatEarly(environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in
            guard let request = window.outstanding else { return }
            step.act(.send(request.message.outgoing(path: path, repetition: Int(request.repetitions) + 1)))
        }
    }

    /// Whether the answer to IKE_SA_INIT is still to come.
    var awaitsFirstAnswer: Bool { if case .initial = phase { true } else { false } }

    /// The same, or that to IKE_AUTH.
    var awaitsNegotiation: Bool {
        switch phase {
        case .initial: true
        case .authenticating: role == .initiator
        default: false
        }
    }

    /// The peer's ESP comes from elsewhere: its NAT has mapped it anew (RFC 7296 section 2.23).
    public func follow(_ path: Path, environment: any SessionEnvironment) -> [SessionAction] {
        step(environment) { step in follow(path, &step) }
    }
}

// MARK: - Queueing, each thing once

extension Session {
    func enqueueDelete(childID: UInt32, reason: String) {
        guard childIndex(id: childID) != nil, !isDeleting(childID: childID) else { return }
        if !isToBeDeleted(childID: childID) { enqueue(DeleteChildExchange(childID: childID, reason: reason)) }
    }

    /// Whether our Delete for this child waits for the window.
    func isToBeDeleted(childID: UInt32) -> Bool {
        queue.contains { ($0.exchange as? DeleteChildExchange)?.childID == childID }
    }

    /// Before everything that waits, and instead of it.
    func enqueueDeleteIKE(_ reason: CloseReason) {
        if active?.isLast == true || queue.first?.exchange.isLast == true { return }
        queue = []
        enqueue(DeleteIKEExchange(reason: reason))
        setState(.deleting)
    }

    func enqueueLiveness() {
        // Whatever waits for an answer tells as much. What is in the queue all the same is put off.
        guard isEstablished, active == nil, !queue.contains(where: { $0.exchange is LivenessExchange }) else { return }
        enqueue(LivenessExchange(), first: true)
    }

    func setState(_ state: IKESAStatus.State) {
        guard case .established(var established) = phase else { return }
        established.state = state
        phase = .established(established)
    }

    /// Whether a new IKE SA has taken over.
    var replaced: Bool {
        if case .established(let state) = phase { state.state == .rekeyed } else { false }
    }
}
