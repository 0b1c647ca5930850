import IKEv2Messages

/// One event on its way through a session: what may be asked, and what is to be done.
///
/// Actions before the answer to a request and after it are kept apart, since the order is a promise: what a message
/// lets the peer do is possible before it is sent.
struct Step {
    let environment: any SessionEnvironment
    /// Nanoseconds; the same for the whole step.
    let now: UInt64
    private var actions: [SessionAction] = []
    private var afterAnswer: [SessionAction] = []
    private(set) var closing: CloseReason?

    init(_ environment: any SessionEnvironment) {
        self.environment = environment
        now = environment.now
    }

    var settings: ProtocolSettings { environment.settings }
    var credentials: Credentials { environment.credentials }

    mutating func act(_ action: SessionAction) { actions.append(action) }

    mutating func report(_ event: SessionEvent) { actions.append(.report(event)) }

    mutating func note(_ level: NoteLevel, _ text: String) { report(.note(level, text)) }

    /// For when the answer to the request at hand is sent; without an answer, at the end of the step.
    mutating func actAfterAnswer(_ action: SessionAction) { afterAnswer.append(action) }

    mutating func reportAfterAnswer(_ event: SessionEvent) { afterAnswer.append(.report(event)) }

    /// The answer is among the actions now: what had to wait for it follows.
    mutating func answerIsSent() {
        actions += afterAnswer
        afterAnswer = []
    }

    /// Everything, in order.
    mutating func finish() -> [SessionAction] {
        answerIsSent()
        return actions
    }

    /// The session ends with this step; what was to be sent is sent.
    mutating func close(_ reason: CloseReason) { if closing == nil { closing = reason } }
}
