import IKEv2
import NIOCore
import Packets

/// A run of `initiate` or `terminate`: streams `control-log`, and answers when the outcome is known or the time is up.
struct WaitingCommand {
    private let control: IKEControl
    private let request: VICIMessage
    private let session: VICISession
    /// Milliseconds; 0: as long as it takes, negative: not at all.
    private let timeout: Int64
    private let level: Int

    init(_ control: IKEControl, _ request: VICIMessage, _ session: VICISession) throws(Problem) {
        self.control = control
        self.request = request
        self.session = session
        timeout = try request.number("timeout", as: Int64.self) ?? 0
        level = try request.number("loglevel", as: Int.self) ?? 1
    }

    // MARK: - initiate

    func initiate() throws(Problem) -> EventLoopFuture<VICIMessage> {
        let (child, ike) = (request["child"], request["ike"])
        guard child != nil || ike != nil else { throw Problem("say what to initiate: a child or an ike") }
        let what = child.map { "child \($0)" } ?? "ike \(ike ?? "")"
        control.log(1, "initiate \(what) over the control socket")
        let name = ike ?? control.manager.connections.first { $0.has(child: child) }?.name
        let promise = session.eventLoop.makePromise(of: VICIMessage.self)
        let answer = Answer(promise)
        watch(answer) { $0.connectionName == name }
        control.manager.initiate(connection: ike, child: child, at: control.now) { outcome in
            switch outcome {
            case .success: later(answer, .success)
            case .failure(let why): later(answer, .failure("\(why)"))
            }
        }
        limit(answer) { .failure("\(what) is not up after \(timeout) ms; the negotiation goes on") }
        return promise.futureResult
    }

    // MARK: - terminate

    func terminate() throws(Problem) -> EventLoopFuture<VICIMessage> {
        let filter = try SAFilter(request, of: "terminate")
        control.log(1, "terminate \(filter.text) over the control socket")
        let statuses = control.manager.statuses(matching: filter)
        // An attempt that waits for its next try has no IKE SA, and is to end all the same.
        let matches = filter.count(in: statuses) + control.manager.waitingAttempts(matching: filter)
        guard matches > 0 else {
            var nothing = VICIMessage.nothing(toDo: "terminate")
            nothing.append("terminated", 0)
            return session.eventLoop.makeSucceededFuture(nothing)
        }
        let promise = session.eventLoop.makePromise(of: VICIMessage.self)
        let answer = Answer(promise)
        let meant = Set(statuses.filter(filter.matches).map(\.id))
        watch(answer) { meant.contains($0.id) }
        // A CHILD_SA is gone only when the peer has answered; without its answer the IKE SA has to go.
        let isForced = request.flag("force") && !filter.isAboutChildren
        // With a time limit, force means: when the time is up.
        control.manager.terminate(filter, force: isForced && timeout <= 0, at: control.now) { outcome in
            switch outcome {
            case .success(let count): later(answer, Self.terminated(count, of: matches))
            case .failure(let why): later(answer, Self.terminated(0, of: matches, because: "\(why)"))
            }
        }
        limit(answer) {
            guard isForced else {
                return Self.terminated(
                    0, of: matches,
                    because: "the peer has not answered after \(timeout) ms; "
                        + "--ike NAME --force ends the whole IKE SA without it")
            }
            control.manager.terminate(filter, force: true, at: control.now) { _ in }
            return Self.terminated(matches, of: matches)
        }
        return promise.futureResult
    }

    private static func terminated(_ count: Int, of matches: Int, because reason: String? = nil) -> VICIMessage {
        var message: VICIMessage = [
            "success": reason == nil ? "yes" : "no", "matches": "\(matches)", "terminated": "\(count)",
        ]
        if let reason { message.append("errmsg", VICIMessage.shortened(reason)) }
        return message
    }

    // MARK: - Waiting

    /// The one answer of the command; whatever comes second is too late.
    private final class Answer {
        private var promise: EventLoopPromise<VICIMessage>?
        var cleanUp: () -> Void = {}

        init(_ promise: EventLoopPromise<VICIMessage>) {
            self.promise = promise
        }

        var isGiven: Bool { promise == nil }

        func give(_ message: VICIMessage) {
            guard let promise else { return }
            self.promise = nil
            cleanUp()
            promise.succeed(message)
        }
    }

    /// Answers once the manager has told all that belongs to the outcome, so that the client sees that too.
    private func later(_ answer: Answer, _ message: VICIMessage) {
        session.eventLoop.assumeIsolated().execute { answer.give(message) }
    }

    private func watch(_ answer: Answer, isAbout: @escaping (IKESAStatus) -> Bool) {
        let (control, number) = (
            control, control.watch(.init(session: session, level: level, isAbout: isAbout))
        )
        answer.cleanUp = { control.unwatch(number) }
    }

    /// Answers with `late` when the time is up.
    private func limit(_ answer: Answer, late: @escaping () -> VICIMessage) {
        guard timeout != 0, !answer.isGiven else { return }
        guard timeout > 0 else { return answer.give(.success) }
        let task = session.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(timeout)) {
            if !answer.isGiven { answer.give(late()) }
        }
        let cleanUp = answer.cleanUp
        answer.cleanUp = {
            cleanUp()
            task.cancel()
        }
    }
}

extension Connection {
    func has(child name: String?) -> Bool { children.contains { $0.name == name } }
}
