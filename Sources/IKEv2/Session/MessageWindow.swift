import IKEv2Messages
import Packets

/// Message ids, retransmission and repeated answers of one IKE SA (RFC 7296 sections 2.1 to 2.3), with a window of one
/// request in each direction. No peer can make it hold more than its last answer.
struct MessageWindow {
    /// A message as it went out, for when it has to go out again byte for byte.
    struct SentMessage {
        var datagrams: [[UInt8]]
        var line: MessageLine
    }

    /// Our request that has no answer yet.
    struct Outstanding {
        let messageID: UInt32
        let exchange: ExchangeType
        let message: SentMessage
        var repetitions: UInt32 = 0
        /// The time at which it was sent for the first time.
        let sentAt: Instant
        /// The time at which it has to be sent again.
        var deadline: Instant
    }

    /// The verdict on a request of the peer.
    enum Verdict {
        /// The one that is due.
        case new
        /// The one that is due, and is worked on already: it is answered when that is done.
        case inHand
        /// The one that was answered last: the same answer again, on the path that the repetition came by.
        case repeated(SentMessage)
        /// Older: it was answered, and that answer was received, or there would be no newer request. Ignored.
        case old
        /// Further on than our window of one (section 2.3).
        case beyond
    }

    /// The meaning of a deadline that has passed.
    enum Overdue {
        case notYet
        /// The message is to be sent again, for the `repetition`th time.
        case again(SentMessage, repetition: UInt32)
        /// All repetitions went unanswered.
        case dead
    }

    private(set) var outstanding: Outstanding?
    /// The id of our next request.
    private(set) var nextRequestID: UInt32 = 0
    /// The id of the peer's next request.
    private(set) var expectedRequestID: UInt32 = 0
    private var lastAnswer: SentMessage?
    /// The request that is due has come, and its answer waits for something.
    private var isInHand = false

    /// Whether an id is left. A peer that uses them up has to rekey before (section 2.2).
    var isExhausted: Bool { nextRequestID == .max }
}

// MARK: - Our requests

extension MessageWindow {
    /// Our request is on its way.
    mutating func sent(
        _ message: SentMessage, exchange: ExchangeType, at now: Instant, settings: ProtocolSettings
    ) {
        outstanding = Outstanding(
            messageID: nextRequestID, exchange: exchange, message: message, sentAt: now,
            deadline: now + Self.wait(repetition: 0, settings))
        if nextRequestID < .max { nextRequestID += 1 }
    }

    /// Whether a response answers the request that waits for one.
    func awaits(_ header: IKEHeader) -> Bool {
        outstanding?.messageID == header.messageID && outstanding?.exchange == header.exchange
    }

    /// The answer has come, or is no longer of interest.
    mutating func completed() { outstanding = nil }

    /// The request is to be made anew under the same id: IKE_SA_INIT with a cookie or another group (section 2.6).
    mutating func takeBack() {
        if let messageID = outstanding?.messageID { nextRequestID = messageID }
        outstanding = nil
    }

    /// The meaning of the deadline's passing. `lastHeard`: when the peer's ESP last came. A peer that
    /// sends lives, whatever swallows its messages (section 2.4): the request is repeated until nothing at all has come
    /// for as long as all repetitions take.
    mutating func overdue(at now: Instant, settings: ProtocolSettings, lastHeard: () -> Instant?) -> Overdue {
        guard var request = outstanding, now >= request.deadline else { return .notYet }
        var next = now + Self.wait(repetition: request.repetitions + 1, settings)
        if request.repetitions >= settings.retransmitTries {
            guard let heard = lastHeard(), heard > request.sentAt else { return .dead }
            let end = heard + Self.patience(settings)
            if now >= end { return .dead }
            next = min(now + Self.wait(repetition: settings.retransmitTries, settings), end)
        }
        if request.repetitions < .max { request.repetitions += 1 }
        request.deadline = next
        outstanding = request
        return .again(request.message, repetition: request.repetitions)
    }

    /// The time from a request to the verdict that the peer is dead.
    static func patience(_ settings: ProtocolSettings) -> Duration {
        (0...settings.retransmitTries).reduce(.zero) { $0 + wait(repetition: $1, settings) }
    }

    /// The time to wait after a repetition (0: the first time): exponential back-off, at most an hour.
    static func wait(repetition: UInt32, _ settings: ProtocolSettings) -> Duration {
        var milliseconds = Double(settings.retransmitTimeoutInMilliseconds)
        for _ in 0..<min(repetition, 64) { milliseconds *= settings.retransmitBase }
        // What is no number is not more than 1 either.
        return .milliseconds(Int(milliseconds > 1 ? min(milliseconds, 3_600_000) : 1))
    }
}

// MARK: - The peer's requests

extension MessageWindow {
    func judge(request messageID: UInt32) -> Verdict {
        if messageID == expectedRequestID { return messageID == .max ? .beyond : isInHand ? .inHand : .new }
        if messageID > expectedRequestID { return .beyond }
        if messageID == expectedRequestID - 1, let lastAnswer { return .repeated(lastAnswer) }
        return .old
    }

    /// The request that was due has come, and is answered later.
    mutating func isAnswering() { isInHand = true }

    /// The request that was due is answered.
    mutating func answered(with message: SentMessage) {
        isInHand = false
        lastAnswer = message
        if expectedRequestID < .max { expectedRequestID += 1 }
    }
}
