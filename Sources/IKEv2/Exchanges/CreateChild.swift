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
        do throws(ChildRefusal) {
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
