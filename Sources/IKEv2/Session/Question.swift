import Cryptography
import IKEv2Messages
import Packets

/// Name of a question: that of its session, and how many that one has asked before.
package struct QuestionID: Hashable, Sendable {
    package let session: UInt32
    let number: Int
}

/// Something that a session wants to know from the world before it goes on. The world may answer at once
/// (`SessionEnvironment.answer`), or later (`Session.answered`), from a thread, a token or another server: the exchange waits
/// until then, and no longer than the peer would.
///
/// No key material is in its description.
package enum Question: Sendable {
    /// Our AUTH payload, and the certificates that go with it.
    case proof(ProofQuestion)
    /// Whether the peer is who it says it is.
    case peer(PeerQuestion)
}

/// What an own proof is made from. An object, as it is passed on through several hands and has a whole connection in it.
package final class ProofQuestion: Sendable {
    let octets: SignedOctets
    /// The peer, or as far as we know who it should be; it chooses the shared key.
    let peer: Identity
    let requests: [CertificateRequestPayload]
    let context: AuthenticationContext

    init(
        octets: SignedOctets, peer: Identity, requests: [CertificateRequestPayload], context: AuthenticationContext
    ) {
        self.octets = octets
        self.peer = peer
        self.requests = requests
        self.context = context
    }
}

/// What the proof of a peer is verified by.
package final class PeerQuestion: Sendable {
    let authentication: AuthenticationPayload
    let octets: SignedOctets
    /// Our identity to the peer, which chooses the shared key.
    let local: Identity
    let certificates: [CertificatePayload]
    let context: AuthenticationContext

    init(
        authentication: AuthenticationPayload, octets: SignedOctets, local: Identity,
        certificates: [CertificatePayload], context: AuthenticationContext
    ) {
        self.authentication = authentication
        self.octets = octets
        self.local = local
        self.certificates = certificates
        self.context = context
    }
}

/// Our proof: AUTH, and the certificates that go into the same message.
package struct AuthenticationProof: Sendable {
    package var authentication: AuthenticationPayload
    package var certificates: [CertificatePayload]
}

/// The answer to a question of the same kind.
package enum Answer: Sendable {
    case proof(Result<AuthenticationProof, Refusal>)
    case peer(Result<VerifiedPeer, Refusal>)
}

extension Question {
    /// The answer that this process can find by itself, on the calling thread.
    package func answer() -> Answer {
        switch self {
        case .proof(let question):
            .proof(
                Result { () throws(Refusal) in
                    let (authentication, certificates) = try PeerAuthentication.prove(
                        question.octets, to: question.peer, requests: question.requests, question.context)
                    return AuthenticationProof(authentication: authentication, certificates: certificates)
                })
        case .peer(let question):
            .peer(
                Result { () throws(Refusal) in
                    try PeerAuthentication.verify(
                        question.authentication, of: question.octets, to: question.local,
                        certificates: question.certificates, question.context)
                })
        }
    }

    /// The answer that stands for none in time.
    var unanswered: Answer {
        let refusal = Refusal(
            .authenticationFailed,
            Explanation("authentication failed: \(self) took too long", cause: .unanswered))
        switch self {
        case .proof: return .proof(.failure(refusal))
        case .peer: return .peer(.failure(refusal))
        }
    }
}

extension Question: CustomStringConvertible {
    package var description: String {
        switch self {
        case .proof(let question): "the proof of who we are, for connection \(question.context.connection.name)"
        case .peer(let question): "the verification of the peer, for connection \(question.context.connection.name)"
        }
    }
}

/// The questions of one session. One is open at a time, as there is one request in each direction.
struct Questions {
    enum Asker {
        /// The exchange of ours that is under way.
        case exchange
        /// A request of the peer, whose place in the window it holds.
        case request(AuthenticationRequest)
    }

    struct Open {
        let id: QuestionID
        let question: Question
        let asker: Asker
        /// The time at which nobody waits for it any more.
        let deadline: Instant
    }

    private(set) var open: Open?
    private var asked = 0

    mutating func ask(_ question: Question, for asker: Asker, session: UInt32, until deadline: Instant) -> QuestionID {
        asked += 1
        let id = QuestionID(session: session, number: asked)
        open = Open(id: id, question: question, asker: asker, deadline: deadline)
        return id
    }

    /// It is answered, or nobody waits for it any more.
    mutating func take() -> Open? {
        defer { open = nil }
        return open
    }
}

/// The next thing to be done for an exchange of ours.
enum ExchangeStep {
    /// Its request.
    case send([Payload])
    case ask(Question)
    /// Nothing: it is over, or there was nothing to do.
    case over
}

// MARK: - In the session

extension Session {
    /// Takes an exchange on until its request is sent, a question is open, or it is over.
    func proceed(_ exchange: inout any InitiatedExchange, _ first: ExchangeStep, _ step: inout Step) {
        var next = first
        while step.closing == nil {
            switch next {
            case .over: return
            case .send(let payloads):
                exchanges.began(exchange)
                sender.request(exchange.type, payloads, &step)
                return
            case .ask(let question):
                guard let answer = step.environment.answer(question) else {
                    exchanges.began(exchange)
                    wait(for: question, .exchange, &step)
                    return
                }
                next = exchange.answered(answer, in: self, &step)
            }
        }
    }

    /// Takes a request of the peer on until it is answered, or a question is open.
    func proceed(_ request: inout AuthenticationRequest, _ first: Question?, _ step: inout Step) {
        var next = first
        while let question = next {
            guard let answer = step.environment.answer(question) else {
                window.isAnswering()
                wait(for: question, .request(request), &step)
                return
            }
            next = request.answered(answer, in: self, &step)
        }
    }

    private func wait(for question: Question, _ asker: Questions.Asker, _ step: inout Step) {
        let deadline = step.now + MessageWindow.patience(step.settings)
        step.act(.ask(questions.ask(question, for: asker, session: id, until: deadline), question))
    }

    /// An answer has come. One to a question that is not open any more is ignored.
    package func answered(
        _ id: QuestionID, _ answer: Answer, environment: any SessionEnvironment
    ) -> [SessionAction] {
        step(environment) { step in
            if questions.open?.id == id { goOn(with: answer, &step) }
        }
    }

    /// Nobody has answered in time: that is an answer too.
    func giveUpQuestion(_ step: inout Step) {
        guard let open = questions.open else { return }
        step.act(.withdraw(open.id))
        goOn(with: open.question.unanswered, &step)
    }

    private func goOn(with answer: Answer, _ step: inout Step) {
        guard let open = questions.take() else { return }
        switch open.asker {
        case .exchange:
            guard var exchange = exchanges.finish() else { return }
            let next = exchange.answered(answer, in: self, &step)
            proceed(&exchange, next, &step)
        case .request(var request):
            let next = request.answered(answer, in: self, &step)
            proceed(&request, next, &step)
        }
    }
}
