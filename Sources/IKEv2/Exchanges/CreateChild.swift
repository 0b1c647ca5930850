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
struct CreateChildExchange: PlainExchange {
    let type = ExchangeType.createChild
    let name = "CHILD_CREATE"
    let child: Child
    /// The packet that calls for it.
    private var hint: TrafficSelector?
    /// The only pair of selectors that is asked for; nil: all.
    private let pair: SelectorPair?
    /// The SA in whose place it comes, which has reached its hard limit; 0: there is none.
    private var predecessor: UInt32 = 0
    /// Another packet has called for the same child just before.
    var isSecond = false
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

    var newChild: CreateChildExchange? { self }
    var blocksIKERekey: Bool { true }

    /// Whether it asks for what another one for the same child would ask for.
    func isEnough(for other: CreateChildExchange) -> Bool {
        (other.hint == nil || other.hint == hint) && (other.pair == nil || other.pair == pair)
    }

    /// Before the request, one that no packet calls for may as well be for the packet that calls for another.
    mutating func takeHint(of other: CreateChildExchange) {
        if hint == nil, pair == nil { hint = other.hint }
    }

    // MARK: - Initiator

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        // It came up meanwhile, by another request or by the peer's.
        let mayBeSettled = predecessor != 0 || isSecond
        if mayBeSettled,
            session.childTable.has(
                child.name, besides: predecessor, covering: hint,
                unless: { session.exchanges.willDelete(child: $0) })
        {
            return nil
        }
        do throws(Refusal) {
            if predecessor == 0 { try requireRoom(in: session, step) }
            let (offered, payloads) = try OfferedChild.offer(
                retry.offered(child.only(pair)), method: retry.method, hint: hint, in: session, &step)
            self.offered = offered
            return payloads
        } catch {
            step.report(.childFailed(name: child.name, error.explanation))
            return nil
        }
    }

    /// An IKE SA does not have more children than `maximumChildren`, whoever asks for them.
    private func requireRoom(in session: Session, _ step: Step) throws(Refusal) {
        let count = session.childTable.count
        guard count >= step.settings.maximumChildren else { return }
        throw Refusal(
            .noAdditionalSAs,
            Explanation(
                "child \(child.name) would be one too many: the IKE SA has \(count) children, which is the limit",
                remedy: "raise --maximum-children, or put networks together in local_ts and remote_ts"))
    }

    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step) {
        guard let offered else { return }
        do {
            let sa = try offered.accept(response, as: child, in: session, &step).sa
            session.childTable.install(sa, isAnswer: false, &step)
        } catch {
            if let refusal = response.errorNotify {
                step.act(.releaseSPI(offered.inboundSPI))
                let isTriedAgain = retry.tryAgain(
                    refusal, offered: child.proposals.flatMap(\.keyExchanges),
                    refused: offered.keyExchange?.method, proposals: child.proposals, in: session, &step
                ) { retry in
                    var next = CreateChildExchange(child: child, hint: hint, pair: pair)
                    next.predecessor = predecessor
                    next.retry = retry
                    return next
                }
                if isTriedAgain { return }
            } else {
                // The peer believes in it.
                session.exchanges.add(DiscardChildExchange(inboundSPI: offered.inboundSPI), first: true)
            }
            step.report(.childFailed(name: child.name, error.explanation))
            if predecessor != 0 { step.act(.successorWanted(children: [child.name])) }
        }
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }

    // MARK: - Responder

    /// All three kinds of CREATE_CHILD_SA. What is refused leaves everything as it is.
    static func respond(
        to request: Message, form: MessageForm.Name, in session: Session, _ step: inout Step
    ) -> [Payload] {
        do throws(Refusal) {
            switch form {
            case .rekeyIKERequest: return try RekeyIKEExchange.respond(to: request, in: session, &step)
            case .rekeyChildRequest: return try RekeyChildExchange.respond(to: request, in: session, &step)
            default: return try respond(to: request, in: session, &step)
            }
        } catch {
            let isPassing = [.temporaryFailure, .invalidKeyExchange].contains(error.notify.type)
            step.note(
                isPassing ? .info : .warning,
                "the peer's CREATE_CHILD_SA is refused with \(error.notify.type): \(error.explanation)")
            return [.notify(error.notify)]
        }
    }

    /// A child cannot be made or rekeyed in an IKE SA that is itself being replaced or deleted (section 2.25.2).
    static func requireNoIKERekey(in session: Session) throws(Refusal) {
        if session.lifecycle.isUp { return }
        throw Refusal(.temporaryFailure, Explanation("the IKE SA is being replaced or deleted"))
    }

    private static func respond(
        to request: Message, in session: Session, _ step: inout Step
    ) throws(Refusal) -> [Payload] {
        try requireNoIKERekey(in: session)
        let answered = try AnsweredChild(
            request, among: session.connection?.negotiated ?? [], replacing: nil, in: session, &step)
        session.childTable.install(answered.sa, isAnswer: true, &step)
        return answered.payloads
    }
}
