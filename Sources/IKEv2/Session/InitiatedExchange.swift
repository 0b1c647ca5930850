import IKEv2Messages

/// An exchange that this side begins: one struct for each kind, which holds its state between request and response.
///
/// The session owns the message window. It asks for the `request` when the window is free, sends and repeats it, and
/// hands over the one `response`, opened and within the message rules. IKE_SA_INIT alone is different, as nothing of it
/// is protected and each side needs it byte for byte (``InitialExchange``).
protocol InitiatedExchange {
    var type: ExchangeType { get }
    /// For `swanctl --list-sas`: "CHILD_CREATE".
    var name: String { get }
    /// Whether it ends the IKE SA, so that nothing else begins after it.
    var isLast: Bool { get }

    /// The payloads of the request. nil: there is nothing to do any more; the exchange is dropped without `abandoned`.
    mutating func request(in session: Session, _ step: inout Step) -> [Payload]?

    /// The answer. Whatever comes of it, the exchange is over; it may queue others.
    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step)

    /// There will be no answer, because the session ends: gives back what `request` took (SPIs).
    mutating func abandoned(in session: Session, _ step: inout Step)
}

extension InitiatedExchange {
    var isLast: Bool { false }
    mutating func abandoned(in session: Session, _ step: inout Step) {}
}

/// An exchange that waits for the window.
struct QueuedExchange {
    var exchange: any InitiatedExchange
    /// Not before this time, nanoseconds: after a TEMPORARY_FAILURE.
    var notBefore: UInt64 = 0
}

extension Session {
    /// Puts an exchange into the queue. `first`: before all others.
    func enqueue(_ exchange: any InitiatedExchange, first: Bool = false, notBefore: UInt64 = 0) {
        let queued = QueuedExchange(exchange: exchange, notBefore: notBefore)
        if first { queue.insert(queued, at: 0) } else { queue.append(queued) }
    }

    /// Begins the next exchange that is due, if the window is free. Called at the end of every step.
    func beginNextExchange(_ step: inout Step) {
        while window.outstanding == nil, active == nil, phase.isOpen, step.closing == nil,
            let index = queue.firstIndex(where: { $0.notBefore <= step.now })
        {
            if case .established = phase {} else if !(queue[index].exchange is AuthenticationExchange) { return }
            var exchange = queue.remove(at: index).exchange
            guard let payloads = exchange.request(in: self, &step) else { continue }
            active = exchange
            sendRequest(exchange.type, payloads, &step)
        }
    }
}
