import IKEv2Messages

/// An exchange that this side begins: one struct for each kind, which holds its state between request and response.
///
/// The session owns the message window. It lets the exchange `begin` when the window is free, sends and repeats its request,
/// and lets it `take` the one response, opened and within the message rules. IKE_SA_INIT alone is different, as nothing of it
/// is protected and each side needs it byte for byte (``InitialExchange``).
protocol InitiatedExchange {
    var type: ExchangeType { get }
    /// For `swanctl --list-sas`: "CHILD_CREATE".
    var name: String { get }

    /// The way to the request.
    mutating func begin(in session: Session, _ step: inout Step) -> ExchangeStep
    /// The way on from the answer to a question that it has asked.
    mutating func answered(_ answer: Answer, in session: Session, _ step: inout Step) -> ExchangeStep
    /// The way on from the response. When it is over, it may have queued others.
    mutating func take(
        _ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step
    ) -> ExchangeStep

    /// There will be no answer, because the session ends: gives back what `request` took (SPIs).
    mutating func abandoned(in session: Session, _ step: inout Step)

    // MARK: Questions

    /// Whether it only asks if the peer lives, which the answer to any other exchange tells as well.
    var isProbe: Bool { get }
    /// The new child that it asks for.
    var newChild: CreateChildExchange? { get }
    /// The child, by our number for it, that it replaces.
    var rekeyedChild: UInt32? { get }
    /// The child that it deletes.
    var deletedChild: UInt32? { get }
    /// Whether it replaces the IKE SA.
    var rekeysIKE: Bool { get }
    /// Whether a rekey of the IKE SA by the peer has to wait for its end: nobody would know which IKE SA the child belongs
    /// to that is being made, rekeyed or deleted (RFC 7296 section 2.25.1).
    var blocksIKERekey: Bool { get }
    /// Whether it is of use to the IKE SA that takes over while it waits.
    var survivesIKERekey: Bool { get }
    /// Why the IKE SA ends with it, so that nothing else begins after it; nil: it goes on.
    var endsIKE: CloseReason? { get }

    // MARK: Requests of the peer meanwhile

    /// The peer has rekeyed the same child, or another one.
    mutating func peerRekeyed(child id: UInt32, _ collision: RekeyChildExchange.Collision)
    /// Whether a rekey of the IKE SA by the peer would be the first collision with one of ours.
    var awaitsCollision: Bool { get }
    /// The peer has rekeyed the IKE SA. False: there is no collision.
    mutating func peerRekeyedIKE(_ collision: RekeyIKEExchange.Collision) -> Bool
    /// The peer deletes the IKE SA: the one that it made in a collision inherits, and ours is forgotten.
    mutating func heirOfPeer() -> Session?
}

extension InitiatedExchange {
    mutating func abandoned(in session: Session, _ step: inout Step) {}

    var isProbe: Bool { false }
    var newChild: CreateChildExchange? { nil }
    var rekeyedChild: UInt32? { nil }
    var deletedChild: UInt32? { nil }
    var rekeysIKE: Bool { false }
    var blocksIKERekey: Bool { rekeyedChild != nil || deletedChild != nil }
    var survivesIKERekey: Bool { true }
    var endsIKE: CloseReason? { nil }

    mutating func peerRekeyed(child id: UInt32, _ collision: RekeyChildExchange.Collision) {}
    var awaitsCollision: Bool { false }
    mutating func peerRekeyedIKE(_ collision: RekeyIKEExchange.Collision) -> Bool { false }
    mutating func heirOfPeer() -> Session? { nil }
}

/// An exchange that asks nobody but the peer.
protocol PlainExchange: InitiatedExchange {
    /// The payloads of the request. nil: there is nothing to do any more; the exchange is dropped without `abandoned`.
    mutating func request(in session: Session, _ step: inout Step) -> [Payload]?

    /// The answer. Whatever comes of it, the exchange is over; it may queue others.
    mutating func response(_ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step)
}

extension PlainExchange {
    mutating func begin(in session: Session, _ step: inout Step) -> ExchangeStep {
        request(in: session, &step).map(ExchangeStep.send) ?? .over
    }

    mutating func answered(_ answer: Answer, in session: Session, _ step: inout Step) -> ExchangeStep { .over }

    mutating func take(
        _ response: Message, form: MessageForm.Name, in session: Session, _ step: inout Step
    ) -> ExchangeStep {
        self.response(response, form: form, in: session, &step)
        return .over
    }
}
