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
    private var retry = CreateChildRetry()
    private var offered: OfferedChild?

    init(child: Child, hint: TrafficSelector?) {
        self.child = child
        self.hint = hint
    }

    mutating func request(in session: Session, _ step: inout Step) -> [Payload]? {
        do {
            let (offered, payloads) = try session.offer(child, method: retry.method, hint: hint, &step)
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
            session.install(try session.accept(response, of: offered, &step).sa, isAnswer: false, &step)
        } catch {
            if let refusal = response.errorNotify {
                step.act(.releaseSPI(offered.inboundSPI))
                if session.tryAgain(
                    refusal, retry, offered: child.proposals.flatMap(\.keyExchanges),
                    refused: offered.keyExchange?.method, &step, { again($0) })
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
        var next = CreateChildExchange(child: child, hint: hint)
        next.retry = retry
        return next
    }

    mutating func abandoned(in session: Session, _ step: inout Step) {
        if let offered { step.act(.releaseSPI(offered.inboundSPI)) }
    }
}

extension Session {
    /// One that is under way already is not begun twice.
    func enqueueChild(_ child: Child, hint: TrafficSelector?) {
        let exchanges = queue.map(\.exchange) + (active.map { [$0] } ?? [])
        let isKnown = exchanges.contains { ($0 as? CreateChildExchange)?.child.name == child.name }
        if !isKnown, isInUse { enqueue(CreateChildExchange(child: child, hint: hint)) }
    }

    /// Not on its way out: what begins now may come to an end.
    var isInUse: Bool {
        guard case .established(let state) = phase else { return false }
        return state.state == .established || state.state == .rekeying
    }
}
