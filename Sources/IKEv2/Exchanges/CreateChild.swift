import Cryptography
import IKEv2Messages
import IPsec

/// CREATE_CHILD_SA for a new child in an IKE SA that is up (RFC 7296 section 1.3.1): the initiator's state.
///
///     SA Ni [KEi] TSi TSr -->
///                         <-- SA Nr [KEr] TSi TSr | N(error)
///
/// | | | RFC 7296 |
/// |-|-|-|
/// | Request | one for each child and packet that calls for it; dropped when the child came up meanwhile | 1.3.1 |
/// | Response | installed at once; one that was not offered is deleted again | 2.9 |
/// | Collision | with a rekey or deletion of the IKE SA: TEMPORARY_FAILURE | 2.25.2 |
/// | N(INVALID_KE_PAYLOAD) | at once again with the method that the peer wants, three times at most | 1.3 |
/// | N(NO_PROPOSAL_CHOSEN) | once more without optional key exchanges | 3.3.6 |
/// | N(TEMPORARY_FAILURE) | again after 5 to 15 seconds, for three minutes; then a new IKE SA takes over | 2.25 |
/// | Other errors | reported; the IKE SA stays as it is | 1.3.1 |
struct CreateChildExchange: InitiatedExchange {
    let type = ExchangeType.createChild
    let name = "CHILD_CREATE"
    let child: Child
    /// The packet that calls for it.
    fileprivate(set) var hint: TrafficSelector?
    /// The only pair of selectors that is asked for; nil: all.
    let pair: SelectorPair?
    /// The SA in whose place it comes, which has reached its hard limit; 0: there is none.
    private var predecessor: UInt32 = 0
    /// Another packet has called for the same child just before.
    fileprivate var isSecond = false
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?

    init(child: Child, hint: TrafficSelector?, pair: SelectorPair? = nil) {
        self.child = child
        self.hint = hint
        self.pair = pair
    }

    /// For an SA that has reached its hard limit.
    init(successorOf sa: ChildSA) {
        self.init(child: sa.child, hint: nil)
        predecessor = sa.id
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        // It came up meanwhile, by another request or by the peer's.
        let mayBeSettled = predecessor != 0 || isSecond
        if mayBeSettled, session.hasChild(child.name, besides: predecessor, covering: hint) { return nil }
        do throws(Refusal) {
            if predecessor == 0 { try session.requireRoom(for: child, step) }
            let (offered, payloads) = try session.offer(
                retry.offered(child.only(pair)), method: retry.method, hint: hint, &step)
            self.offered = offered
            return payloads
        } catch {
            step.report(.childFailed(name: child.name, error.explanation))
            return nil
        }
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        guard let offered else { return }
        do {
            let sa = try session.accept(response, of: offered, as: child, &step).sa
            session.install(sa, isAnswer: false, &step)
        } catch {
            if let refusal = response.errorNotify {
                step.act(.releaseSPI(offered.inboundSPI))
                if session.tryAgain(
                    refusal, retry, offered: child.proposals.flatMap(\.keyExchanges),
                    refused: offered.keyExchange?.method, proposals: child.proposals, &step, { again($0) })
                {
                    return
                }
            } else {
                // The peer believes in it.
                session.enqueue(DiscardChildExchange(inboundSPI: offered.inboundSPI), first: true)
            }
            step.report(.childFailed(name: child.name, error.explanation))
            if predecessor != 0 { step.act(.successorWanted(children: [child.name])) }
        }
    }

    /// Whether it asks for what another one for the same child would ask for.
    fileprivate func isEnough(for other: CreateChildExchange) -> Bool {
        (other.hint == nil || other.hint == hint) && (other.pair == nil || other.pair == pair)
    }

    private func again(_ retry: CreateChildRetry) -> CreateChildExchange {
        var next = CreateChildExchange(child: child, hint: hint, pair: pair)
        next.predecessor = predecessor
        next.retry = retry
        return next
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }
}

extension Session {
    /// One that is under way already is not begun twice, unless another packet calls for it: what comes up may not be for
    /// that.
    func enqueueChild(_ child: Child, hint: TrafficSelector?, pair: SelectorPair? = nil) {
        guard isInUse else { return }
        var next = CreateChildExchange(child: child, hint: hint, pair: pair)
        for index in queue.indices {
            guard var waiting = queue[index].exchange as? CreateChildExchange, waiting.child.name == child.name else {
                continue
            }
            if waiting.hint == nil, waiting.pair == nil { waiting.hint = hint }
            queue[index].exchange = waiting
            if waiting.isEnough(for: next) { return }
            next.isSecond = true
        }
        if let running = active as? CreateChildExchange, running.child.name == child.name {
            if running.isEnough(for: next) { return }
            next.isSecond = true
        }
        enqueue(next)
    }

    /// An IKE SA does not have more children than `maximumChildren`, whoever asks for them.
    fileprivate func requireRoom(for child: Child, _ step: Step) throws(Refusal) {
        guard childRecords.count >= step.settings.maximumChildren else { return }
        throw Refusal(
            .noAdditionalSAs,
            Explanation(
                "child \(child.name) would be one too many: the IKE SA has \(childRecords.count) children, which is the "
                    + "limit", remedy: "raise --maximum-children, or put networks together in local_ts and remote_ts"))
    }

    /// Not on its way out: what begins now may come to an end.
    var isInUse: Bool {
        guard case .established(let state) = phase else { return false }
        return state.state == .established || state.state == .rekeying
    }
}

// MARK: - Responder

extension Session {
    func respondToCreateChild(_ request: Message, form: MessageForm.Name, _ step: inout Step) -> [Payload] {
        do throws(Refusal) {
            switch form {
            case .rekeyIKERequest: return try respondToIKERekey(request, &step)
            case .rekeyChildRequest: return try respondToChildRekey(request, &step)
            default: return try respondToNewChild(request, &step)
            }
        } catch {
            let isPassing = [.temporaryFailure, .invalidKeyExchange].contains(error.notify.type)
            step.note(
                isPassing ? .info : .warning,
                "the peer's CREATE_CHILD_SA is refused with \(error.notify.type): \(error.explanation)")
            return [.notify(error.notify)]
        }
    }

    private func respondToNewChild(_ request: Message, _ step: inout Step) throws(Refusal) -> [Payload] {
        try requireNoIKERekey()
        let answered = try answer(request, among: connection?.negotiated ?? [], replacing: nil, &step)
        install(answered.sa, isAnswer: true, &step)
        return answered.payloads
    }

    /// A child cannot be made or rekeyed in an IKE SA that is itself being replaced or deleted (section 2.25.2).
    func requireNoIKERekey() throws(Refusal) {
        guard case .established(let state) = phase, state.state == .established else {
            throw Refusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
        }
    }

    /// A child that the answer to a request makes.
    struct AnsweredChild {
        var sa: ChildSA
        /// SA Nr [KEr] TSi TSr.
        var payloads: [Payload]
        var initiatorNonce: [UInt8]
        var responderNonce: [UInt8]
    }

    /// Negotiates a child with the peer's offer. Nothing is installed yet.
    /// - Parameter old: the SA that the new one is for: all of its packets are packets of the new one (section 2.9.2).
    func answer(
        _ request: Message, among children: [Child], replacing old: ChildSA?, _ step: inout Step
    ) throws(Refusal) -> AnsweredChild {
        // A rekey makes no more of them in the end; a peer that never deletes what it has rekeyed is stopped all the same.
        let count = old == nil ? childRecords.count : childRecords.count / 2
        guard count < step.settings.maximumChildren else {
            throw Refusal(
                .noAdditionalSAs, Explanation("the IKE SA has \(childRecords.count) children, which is the limit"))
        }
        guard let initiatorNonce = request.nonce?.data else {
            throw Refusal(.invalidSyntax, Explanation("the peer's request has no nonce"))
        }
        let agreement = try agreement(on: request, among: children, withKeyExchange: true, &step)
        do throws(Refusal) {
            if let old, !agreement.covers(old) { throw narrower(agreement, old) }
            let own = try ownKeyExchange(agreement.selected.keyExchange, for: request)
            let nonce = Self.nonce(step)
            let secret = try Self.secret(agreement.selected.keyExchange, own: own, peer: request.keyExchange)
            let sa = try makeChild(
                agreement, secret: secret, initiatorNonce: initiatorNonce, responderNonce: nonce, initiator: false,
                requestID: old?.requestID, &step)
            var payloads = childAnswer(agreement)
            payloads.insert(.nonce(NoncePayload(nonce)), at: 1)
            if let own { payloads.insert(.keyExchange(own.payload), at: 2) }
            return AnsweredChild(sa: sa, payloads: payloads, initiatorNonce: initiatorNonce, responderNonce: nonce)
        } catch {
            step.act(.releaseSPI(agreement.inboundSPI))
            throw error
        }
    }

    private func narrower(_ agreement: ChildAgreement, _ old: ChildSA) -> Refusal {
        Refusal(
            .trafficSelectorsUnacceptable,
            Explanation(
                "a rekey of child \(old.child.name) would leave packets without an SA",
                details: [
                    "in use: \(old.selectorText)",
                    "wanted: \(SelectorSide.text(agreement.local, agreement.remote))",
                ], remedy: "let the peer rekey with the traffic selectors that are in use (RFC 7296 section 2.9.2)"))
    }
}
