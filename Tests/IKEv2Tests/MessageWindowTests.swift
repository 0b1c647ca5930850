import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// Message ids, repetitions and answers (RFC 7296 sections 2.1 to 2.3).
@Suite struct MessageWindowTests {
    private let settings = ProtocolSettings()

    private func message(_ byte: UInt8) -> MessageWindow.SentMessage {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request, isFromInitiator: true,
            messageID: 0)
        return MessageWindow.SentMessage(
            datagrams: [[byte]],
            line: MessageLine(Message(header: header), way: .sent, peer: "peer", bytes: 1))
    }

    private func header(_ messageID: UInt32, _ exchange: ExchangeType = .informational) -> IKEHeader {
        IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: exchange, direction: .response, isFromInitiator: false,
            messageID: messageID)
    }

    /// "new", "in hand", "repeated 7", "old", "beyond".
    private func verdict(_ window: MessageWindow, _ messageID: UInt32) -> String {
        switch window.judge(request: messageID) {
        case .new: "new"
        case .inHand: "in hand"
        case .repeated(let answer): "repeated \(answer.datagrams[0][0])"
        case .old: "old"
        case .beyond: "beyond"
        }
    }

    @Test func requestsOfThePeerComeOneAfterTheOther() {
        var window = MessageWindow()
        #expect((0...2).map { verdict(window, $0) } == ["new", "beyond", "beyond"])
        window.answered(with: message(7))
        #expect((0...2).map { verdict(window, $0) } == ["repeated 7", "new", "beyond"])
        window.answered(with: message(8))
        #expect((0...3).map { verdict(window, $0) } == ["old", "repeated 8", "new", "beyond"])
        #expect(verdict(window, .max) == "beyond")
    }

    @Test func anAnswerIsAwaitedOnce() {
        var window = MessageWindow()
        #expect(!window.awaits(header(0)))
        window.sent(message(1), exchange: .informational, at: 0, settings: settings)
        #expect(window.awaits(header(0)))
        #expect(!window.awaits(header(1)))
        #expect(!window.awaits(header(0, .createChild)))
        window.completed()
        #expect(!window.awaits(header(0)))
        #expect(window.nextRequestID == 1)
    }

    @Test func aRequestThatIsTakenBackLeavesItsID() {
        var window = MessageWindow()
        window.sent(message(1), exchange: .initial, at: 0, settings: settings)
        window.takeBack()
        #expect(window.nextRequestID == 0)
        #expect(!window.awaits(header(0, .initial)))
    }

    /// A request that is worked on is that until it is answered; the one before is repeated meanwhile.
    @Test func aRequestInHandIsNotNew() {
        var window = MessageWindow()
        window.isAnswering()
        #expect((0...1).map { verdict(window, $0) } == ["in hand", "beyond"])
        window.answered(with: message(7))
        #expect((0...2).map { verdict(window, $0) } == ["repeated 7", "new", "beyond"])
        window.isAnswering()
        #expect((0...2).map { verdict(window, $0) } == ["repeated 7", "in hand", "beyond"])
    }

    /// 4 s, 7.2 s, 12.96 s, … each counted from the one before; then the peer is dead.
    @Test func waitsGrow() {
        var window = MessageWindow()
        window.sent(message(1), exchange: .informational, at: 0, settings: settings)
        var times: [Int128] = []
        var now: Instant = 0
        while let deadline = window.outstanding?.deadline {
            now = deadline
            if case .notYet = window.overdue(at: now - .nanoseconds(1), settings: settings, lastHeard: { nil }) {
            } else {
                Issue.record("too early")
            }
            let verdict = window.overdue(at: now, settings: settings, lastHeard: { nil })
            if case .again(let sent, let repetition) = verdict {
                times.append((now - .start).wholeNanoseconds / 1_000_000)
                #expect(sent.datagrams == [[1]])
                #expect(repetition == UInt32(times.count))
            } else {
                break
            }
        }
        #expect(times == [4000, 11200, 24160, 47488, 89478])
        #expect((now - .start).wholeNanoseconds / 1_000_000 == 165_060)
        #expect(MessageWindow.patience(settings) == now - .start)
    }

    /// Seconds after a request at which the peer counts as dead, when its ESP comes until `last`.
    private func verdict(espUntil last: Int) -> Int {
        var window = MessageWindow()
        let start = Instant.start + .seconds(1000)
        window.sent(message(1), exchange: .createChild, at: start, settings: settings)
        while let now = window.outstanding?.deadline, now < start + .seconds(10_000) {
            let heard = min(now, start + .seconds(last))
            let verdict = window.overdue(at: now, settings: settings) { last == 0 ? start - .nanoseconds(1) : heard }
            if case .dead = verdict { return (now - start).wholeSeconds }
        }
        return .max
    }

    /// A peer whose ESP comes lives: the request is repeated until nothing has come for as long as all repetitions take.
    @Test func aPeerThatSendsESPLives() {
        #expect(verdict(espUntil: 0) == 165, "what came before the request says nothing")
        #expect(verdict(espUntil: 1) == 166)
        #expect(verdict(espUntil: 100) == 265)
        #expect(verdict(espUntil: 1000) == 1165)
        #expect(verdict(espUntil: 20_000) == .max)
    }

    @Test func waitsEndSomewhere() {
        var settings = ProtocolSettings()
        settings.retransmitBase = 1000
        settings.retransmitTimeoutInMilliseconds = .max
        #expect(MessageWindow.wait(repetition: .max, settings) == .seconds(3600))
        settings.retransmitBase = .nan
        #expect(MessageWindow.wait(repetition: 3, settings) > .zero)
        settings.retransmitBase = -1
        #expect(MessageWindow.wait(repetition: 1, settings) == .milliseconds(1))
    }
}
