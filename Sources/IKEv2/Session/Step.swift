import IKEv2Messages
import Packets

/// One event on its way through a session: what may be asked, and what is to be done.
///
/// Actions before the answer to a request and after it are kept apart, since the order is a promise: what a message
/// lets the peer do is possible before it is sent.
struct Step {
    let environment: any SessionEnvironment
    /// The moment of the event; the same for the whole step.
    let now: Instant
    private var actions: [SessionAction] = []
    private var afterAnswer: [SessionAction] = []
    private(set) var closing: CloseReason?

    init(_ environment: any SessionEnvironment) {
        self.environment = environment
        now = environment.now
    }

    var settings: ProtocolSettings { environment.settings }
    var credentials: Credentials { environment.credentials }

    /// Bytes of the nonces that we make.
    private static let nonceLength = 32

    func nonce() -> [UInt8] { environment.random(count: Self.nonceLength) }

    func allocateSPI() throws(Refusal) -> SPI {
        do { return try environment.allocateSPI() } catch {
            throw Refusal(.noAdditionalSAs, Explanation("no SPI is left: \(error)"))
        }
    }

    mutating func act(_ action: SessionAction) { actions.append(action) }

    mutating func report(_ event: SessionEvent) { actions.append(.report(event)) }

    mutating func note(_ level: NoteLevel, _ text: String) { report(.note(level, text)) }

    /// Adds an action for when the answer to the request at hand is sent; without an answer, at the end of the step.
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

    /// The negotiation of the IKE SA comes to nothing.
    mutating func fail(_ explanation: Explanation) {
        report(.failed(explanation))
        close(.negotiationFailed(explanation))
    }

    /// The IKE SA ends, or its rekey comes to nothing: what is wanted of its children has to come up elsewhere.
    mutating func askForSuccessors(of children: [ChildSA]) {
        var names: [String] = []
        for sa in children where environment.isWanted(sa) && !names.contains(sa.child.name) {
            names.append(sa.child.name)
        }
        if !names.isEmpty { act(.successorWanted(children: names)) }
    }
}
