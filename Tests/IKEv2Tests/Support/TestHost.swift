import IKEv2Messages
import IPsec
import Packets
import Testing

@testable import IKEv2

/// One end: its sessions, what its dataplane has, what it reported. It does what a manager does with actions, and no
/// more, and it insists on their order.
final class TestHost {
    let name: String
    let environment: TestEnvironment
    var endpoint: Endpoint
    /// As a responder, best first.
    var connections: [Connection] = []
    /// As a responder: every IKE_SA_INIT must bring this cookie.
    var cookie: [UInt8]?

    private(set) var sessions: [Session] = []
    private(set) var events: [SessionEvent] = []
    private(set) var closed: [(id: UInt32, reason: CloseReason)] = []
    /// SAs that the dataplane has, by our SPI, and by the peer's.
    private(set) var inbound: [SPI: ChildSA] = [:]
    private(set) var outbound: [SPI: ChildSA] = [:]
    /// Inbound SAs that drain.
    private(set) var draining: [SPI] = []
    /// Questions that wait for their answers, and those whose answers nobody wants any more.
    private(set) var questions: [(id: QuestionID, question: Question)] = []
    private(set) var withdrawn: [QuestionID] = []
    /// "installInbound", "send", … in order.
    private(set) var log: [String] = []
    var send: (OutgoingMessage) -> Void = { _ in }

    init(_ name: String, seed: UInt64, endpoint: Endpoint) {
        self.name = name
        self.endpoint = endpoint
        environment = TestEnvironment(seed: seed)
    }

    /// The session that is left, or the last that was made.
    var session: Session? { sessions.last }
    var children: [ChildSA] { sessions.flatMap(\.children) }

    func begin(_ begun: (Session, [SessionAction])) {
        sessions.append(begun.0)
        perform(begun.1, of: begun.0)
    }

    /// Does something with a session, and what comes of it.
    func perform(_ session: Session, _ body: (Session) -> [SessionAction]) {
        perform(body(session), of: session)
    }

    func status(_ session: Session) -> IKESAStatus {
        session.status(at: environment.now) { environment.usages[$0.inboundSPI] }
    }

    /// Answers the first question, by itself or as told.
    func answer(_ answer: Answer? = nil) {
        guard !questions.isEmpty else { return }
        let (id, question) = questions.removeFirst()
        reply(id, answer ?? question.answer())
    }

    /// An answer comes, whether or not it is asked for.
    func reply(_ id: QuestionID, _ answer: Answer) {
        for session in sessions where session.id == id.session {
            perform(session.answered(id, answer, environment: environment), of: session)
        }
    }

    // MARK: - Events

    func receive(_ datagram: [UInt8], path: Path) {
        guard let message = try? ReceivedMessage(decoding: datagram) else { return }
        let header = message.header
        let isOurs = { (session: Session) in
            session.role == .responder
                ? header.isFromInitiator && header.responderSPI == session.responderSPI
                : !header.isFromInitiator && header.initiatorSPI == session.initiatorSPI
        }
        if header.responderSPI == 0 && header.isFromInitiator && header.exchange == .initial {
            receiveInitial(message, path: path)
        } else if let session = sessions.last(where: isOurs) {
            perform(session.receive(message, path: path, environment: environment), of: session)
        }
    }

    private func receiveInitial(_ message: ReceivedMessage, path: Path) {
        let known = sessions.first { $0.role == .responder && $0.initiatorSPI == message.header.initiatorSPI }
        if let known {
            perform(known.receive(message, path: path, environment: environment), of: known)
            return
        }
        if let cookie, message.plainMessage?.notify(.cookie)?.data != cookie {
            let demand = Message(
                header: message.header.response(), payloads: [.notify(NotifyPayload(.cookie, data: cookie))])
            guard let bytes = try? demand.encoded() else { return }
            send(
                OutgoingMessage(
                    path: path, datagrams: [bytes],
                    line: MessageLine(demand, way: .sent, peer: "\(path.remote)", bytes: bytes.count)))
            return
        }
        let (session, actions) = Session.respond(
            to: message, path: path, candidates: connections, environment: environment)
        if let session { sessions.append(session) }
        perform(actions, of: session)
    }

    var nextDeadline: Instant? { sessions.compactMap(\.nextDeadline).min() }

    func advance() {
        for session in sessions where session.nextDeadline.map({ $0 <= environment.now }) == true {
            perform(session.deadlineReached(environment: environment), of: session)
            #expect(
                session.nextDeadline.map { $0 > environment.now } != false,
                "\(name): what was due is still due, and would be for ever")
        }
    }

    // MARK: - Actions

    private func perform(_ actions: [SessionAction], of session: Session?) {
        var isOver = false
        for action in actions {
            #expect(!isOver, "\(name): an action behind closed")
            switch action {
            case .send(let message):
                log.append("send")
                send(message)
            case .report(let event): events.append(event)
            case .ask(let id, let question): questions.append((id, question))
            case .withdraw(let id): withdrawn.append(id)
            case .explain(let explanation): events.append(.failed(explanation()))
            case .replaced(let successor):
                log.append("replaced")
                if !sessions.contains(where: { $0 === successor }) { sessions.append(successor) }
            case .accompanied(let other):
                log.append("accompanied")
                sessions.append(other)
            case .closed(let reason):
                log.append("closed")
                isOver = true
                guard let session else { continue }
                closed.append((session.id, reason))
                sessions.removeAll { $0 === session }
                #expect(session.nextDeadline == nil)
            default: change(action)
            }
        }
    }

    private func change(_ action: SessionAction) {
        switch action {
        case .installInbound(let sa):
            log.append("installInbound")
            #expect(inbound[sa.inboundSPI] == nil, "\(name): inbound SA installed twice")
            #expect(environment.pendingSPIs.remove(sa.inboundSPI) != nil, "\(name): an SPI that was not allocated")
            inbound[sa.inboundSPI] = sa
        case .installOutbound(let sa), .installOutboundWhenUsed(let sa):
            log.append("installOutbound")
            #expect(inbound[sa.inboundSPI] != nil, "\(name): outbound SA before the inbound one")
            #expect(outbound[sa.outboundSPI] == nil, "\(name): outbound SA installed twice")
            outbound[sa.outboundSPI] = sa
        case .removeOutbound(let sa):
            log.append("removeOutbound")
            #expect(outbound.removeValue(forKey: sa.outboundSPI) != nil, "\(name): no such outbound SA")
        case .removeInbound(let sa, let atOnce):
            log.append("removeInbound")
            #expect(inbound.removeValue(forKey: sa.inboundSPI) != nil, "\(name): no such inbound SA")
            if !atOnce { draining.append(sa.inboundSPI) }
        case .releaseSPI(let spi):
            log.append("releaseSPI")
            #expect(environment.pendingSPIs.remove(spi) != nil, "\(name): an SPI released twice")
        case .move(let sa, let path, let isEncapsulated):
            log.append("move")
            inbound[sa.inboundSPI]?.path = path
            inbound[sa.inboundSPI]?.isEncapsulated = isEncapsulated
            outbound[sa.outboundSPI]?.path = path
            outbound[sa.outboundSPI]?.isEncapsulated = isEncapsulated
        default: break
        }
    }
}

// MARK: - What was reported

extension TestHost {
    var failures: [Explanation] {
        events.compactMap { if case .failed(let explanation) = $0 { explanation } else { nil } }
    }
    var childFailures: [Explanation] {
        events.compactMap { if case .childFailed(_, let explanation) = $0 { explanation } else { nil } }
    }
    var notes: [String] { events.compactMap { if case .note(_, let text) = $0 { text } else { nil } } }
    var childrenUp: [ChildSA] { events.compactMap { if case .childUp(let sa) = $0 { sa } else { nil } } }
    var childrenDown: [ChildSA] { events.compactMap { if case .childDown(let sa, _) = $0 { sa } else { nil } } }
    /// For each IKE SA that came up: whether the peer called it its only one.
    var established: [Bool] { events.compactMap { if case .established(let first) = $0 { first } else { nil } } }
    var moves: [Path] { events.compactMap { if case .moved(_, let to) = $0 { to } else { nil } } }

    func forgetEvents() { events = [] }
}
