import IKEv2Messages

/// Refusal of a request, an answer or a proof: what the peer is told, and what our operator is.
package struct Refusal: Error {
    package let notify: NotifyPayload
    private let words: Words

    /// Anybody can have an IKE_SA_INIT refused, at any rate: its words are found only when there is room in the log.
    private enum Words {
        case said(Explanation)
        case unsaid(@Sendable () -> Explanation)
    }

    package var explanation: Explanation {
        switch words {
        case .said(let explanation): explanation
        case .unsaid(let explain): explain()
        }
    }

    private init(_ notify: NotifyPayload, _ words: Words) {
        self.notify = notify
        self.words = words
    }

    init(_ notify: NotifyPayload, _ explanation: Explanation) {
        self.init(notify, .said(explanation.because(notify.type)))
    }

    init(_ type: NotifyType, _ explanation: Explanation) {
        self.init(NotifyPayload(type), explanation)
    }

    init(_ notify: NotifyPayload, unsaid explanation: @autoclosure @escaping @Sendable () -> Explanation) {
        self.init(notify, .unsaid(explanation))
    }

    init(_ type: NotifyType, unsaid explanation: @autoclosure @escaping @Sendable () -> Explanation) {
        self.init(NotifyPayload(type), .unsaid(explanation))
    }

    /// AUTHENTICATION_FAILED: of why, the peer learns nothing.
    init(authentication problem: String, details: [String] = [], remedy: String) {
        self.init(
            NotifyPayload(.authenticationFailed),
            .said(Explanation("authentication failed: \(problem)", details: details, remedy: remedy)))
    }

    /// The same for an error that comes of neither configuration nor peer.
    init(authentication error: some Error) {
        self.init(
            authentication: "\(error)", remedy: "the cause is neither the configuration nor the peer")
    }
}
