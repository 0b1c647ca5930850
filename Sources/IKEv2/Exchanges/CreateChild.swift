import Cryptography
import IKEv2Messages
import IPsec

/// A new child in an IKE SA that is up (RFC 7296 section 1.3.1).
///
///     SA Ni [KEi] TSi TSr -->
///                         <-- SA Nr [KEr] TSi TSr
struct CreateChildExchange: InitiatedExchange {
    let type = ExchangeType.createChild
    let name = "CHILD_CREATE"
    let child: Child
    /// The packet that calls for it.
    let hint: TrafficSelector?
    /// The only pair of selectors that is asked for; nil: all.
    let pair: SelectorPair?
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?

    init(child: Child, hint: TrafficSelector?, pair: SelectorPair? = nil) {
        self.child = child
        self.hint = hint
        self.pair = pair
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        do throws(ChildRefusal) {
            try session.requireRoom(for: child, step)
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
        }
    }

    private func again(_ retry: CreateChildRetry) -> CreateChildExchange {
        var next = CreateChildExchange(child: child, hint: hint, pair: pair)
        next.retry = retry
        return next
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }
}

extension Session {
    /// One that is under way already is not begun twice.
    func enqueueChild(_ child: Child, hint: TrafficSelector?, pair: SelectorPair? = nil) {
        let exchanges = queue.map(\.exchange) + (active.map { [$0] } ?? [])
        let isKnown = exchanges.contains { ($0 as? CreateChildExchange)?.child.name == child.name }
        if !isKnown, isInUse { enqueue(CreateChildExchange(child: child, hint: hint, pair: pair)) }
    }

    /// An IKE SA does not have more children than `maximumChildren`, whoever asks for them.
    fileprivate func requireRoom(for child: Child, _ step: Step) throws(ChildRefusal) {
        guard childRecords.count >= step.settings.maximumChildren else { return }
        throw ChildRefusal(
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
