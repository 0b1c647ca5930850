import IKEv2Messages

/// A peer that has proved who it is, and the connection that is for it.
struct IdentifiedPeer {
    var connection: Connection
    var verified: VerifiedPeer
    /// Our identity to the peer.
    var local: Identity
}

/// The search for the connection that is for a peer: by the identities, and of several the first by which the proof holds.
///
/// One question for each candidate, the closest first; whoever asks comes back with its answer.
final class PeerSearch {
    /// The next thing to be done.
    enum Finding {
        case ask(PeerQuestion)
        case found(IdentifiedPeer)
        case none(Refusal)
    }

    private let request: Message
    private let form: MessageForm.Name
    private let state: Authenticating
    private let initiator: IdentificationPayload
    private let authentication: AuthenticationPayload
    /// Candidates that are left, the next one last.
    private var candidates: [Connection]
    /// The one that is asked about.
    private var current: (connection: Connection, local: Identity, isExact: Bool)?
    private var failure: Explanation?
    private var refusal: Refusal?
    /// A connection names this identity alone, and the peer could not prove that it is the one.
    private var isDisproved = false

    init(_ request: Message, _ form: MessageForm.Name, _ state: Authenticating) throws(Refusal) {
        guard let initiator = request.identificationInitiator, form != .eapRequest, form != .eapFinalRequest else {
            throw Refusal(.invalidSyntax, Explanation("IKE_AUTH without an identity"))
        }
        guard let authentication = request.authentication else {
            throw Refusal(
                .authenticationFailed,
                Explanation(
                    "authentication failed: the peer wants EAP, which is not supported",
                    remedy: "let the peer use a shared key or certificates"))
        }
        self.request = request
        self.form = form
        self.state = state
        self.initiator = initiator
        self.authentication = authentication
        let wanted = request.identificationResponder.flatMap(Identity.init)
        candidates =
            Identity(initiator).map {
                PeerAuthentication.connections(state.candidates, for: $0, wanted: wanted).reversed()
            } ?? []
    }

    /// The question about the next candidate, or that there is none.
    func next(in session: Session, _ step: Step) -> Finding {
        guard let connection = candidates.popLast() else { return .none(result) }
        let isExact = Identity(initiator)?.matches(connection.remote.identity) == Identity.exactMatch
        if isDisproved && !isExact { return .none(result) }
        let context = AuthenticationContext(connection, session, step)
        let local = localIdentity(context)
        current = (connection, local, isExact)
        return .ask(
            PeerQuestion(
                authentication: authentication, octets: state.octets(of: initiator, sender: .initiator), local: local,
                certificates: request.certificates, context: context))
    }

    /// The answer about the candidate that was asked about.
    func answered(
        _ answer: Result<VerifiedPeer, Refusal>, in session: Session, _ step: Step
    ) -> Finding {
        guard let current else { return .none(result) }
        switch answer {
        case .success(let verified):
            // Only who has proved itself learns what the connection wants.
            guard let problem = childlessProblem(current.connection) else {
                return .found(
                    IdentifiedPeer(connection: current.connection, verified: verified, local: current.local))
            }
            refusal = refusal ?? problem
        case .failure(let error):
            failure = failure ?? error.explanation
            isDisproved = isDisproved || current.isExact
        }
        return next(in: session, step)
    }

    private var result: Refusal {
        refusal
            ?? Refusal(
                .authenticationFailed,
                failure
                    ?? PeerAuthentication.explainNoConnection(
                        state.candidates, for: initiator, wanted: request.identificationResponder))
    }

    /// Our identity: as configured, else whom the peer wants, else what our certificate says.
    private func localIdentity(_ context: AuthenticationContext) -> Identity {
        let configured = context.connection.local.identity ?? .any
        if configured == .any, let wanted = request.identificationResponder.flatMap(Identity.init) {
            if case .preSharedKey = context.connection.local.method { return wanted }
        }
        return PeerAuthentication.localIdentity(context, requests: request.certificateRequests)
    }

    /// RFC 6023 section 4: who does not do it answers as one who does not know it. nil: the request has the right form.
    private func childlessProblem(_ connection: Connection) -> Refusal? {
        let isChildless = form == .childlessAuthenticationRequest
        let line = "connections.\(connection.name).childless"
        if isChildless && connection.childless == .never {
            return Refusal(
                .invalidSyntax, Explanation("the peer wants an IKE SA without a child", remedy: "set \(line) = allow"))
        }
        if !isChildless && connection.childless == .force {
            return Refusal(
                .invalidSyntax, Explanation("the peer wants a child in IKE_AUTH", remedy: "set \(line) = allow"))
        }
        return nil
    }
}
