import IKEv2Messages
import Packets
import Testing

@testable import IKEv2

/// Sessions whose questions are answered later, by both roles.
@Suite("An exchange waits for an answer, and no longer than the peer would")
struct QuestionTests {
    private func bench(later hosts: (TwoSessions) -> [TestHost]) -> TwoSessions {
        let bench = TwoSessions()
        for host in hosts(bench) { host.environment.answersLater = true }
        bench.initiate()
        bench.pass(milliseconds: 100)
        return bench
    }

    private func kinds(_ host: TestHost) -> [String] {
        host.questions.map {
            switch $0.question {
            case .proof: "proof"
            case .peer: "peer"
            }
        }
    }

    /// Who we are, then who the peer is; nothing is sent, and nothing is up, before.
    @Test func theInitiatorWaitsTwice() {
        let bench = bench { [$0.west] }
        #expect(kinds(bench.west) == ["proof"] && bench.network.sent == 2)
        bench.west.answer()
        bench.pass(milliseconds: 100)
        #expect(kinds(bench.west) == ["peer"] && bench.network.sent == 4)
        #expect(bench.west.children.isEmpty && bench.west.session?.isEstablished == false)
        bench.west.answer()
        bench.run()
        bench.expectJoined()
    }

    /// The peer's repetitions meanwhile are not answered, and nothing is asked twice.
    @Test func theResponderHoldsItsPlace() {
        let bench = bench { [$0.east] }
        #expect(kinds(bench.east) == ["peer"])
        let sent = bench.network.sent
        bench.pass(milliseconds: 3_500)
        #expect(bench.network.sent > sent, "the initiator repeats itself")
        #expect(kinds(bench.east) == ["peer"] && bench.trace.count { $0.hasPrefix("<--") } == 1)
        bench.east.answer()
        #expect(kinds(bench.east) == ["proof"])
        bench.pass(milliseconds: 100)
        bench.east.answer()
        bench.run()
        bench.expectJoined()
    }

    @Test(arguments: [true, false])
    func answersToOtherQuestionsAreIgnored(isInitiator: Bool) throws {
        let bench = bench { [isInitiator ? $0.west : $0.east] }
        let host = isInitiator ? bench.west : bench.east
        let (id, question) = try #require(host.questions.first)
        let answer = question.answer()
        host.reply(QuestionID(session: id.session, number: id.number + 1), answer)
        #expect(host.session?.questions.open?.id == id)
        host.answer()
        let open = host.session?.questions.open?.id
        host.reply(id, answer)
        #expect(host.session?.questions.open?.id == open, "it was answered")
        for _ in 0..<3 {
            bench.pass(milliseconds: 100)
            host.answer()
        }
        bench.run()
        bench.expectJoined()
        host.reply(id, answer)
        bench.expectJoined()
    }

    @Test(arguments: [true, false])
    func noAnswerEndsTheNegotiation(isInitiator: Bool) throws {
        let bench = bench { [isInitiator ? $0.west : $0.east] }
        let host = isInitiator ? bench.west : bench.east
        let (id, question) = try #require(host.questions.first)
        bench.pass(seconds: 300)
        #expect(host.withdrawn == [id] && host.sessions.isEmpty)
        host.reply(id, question.answer())
        #expect(host.sessions.isEmpty)
        bench.expectNothingLeft()
    }

    /// The SPI of the child that was offered is given back.
    @Test func noVerificationIsToldToThePeer() {
        let bench = bench { [$0.west] }
        bench.west.answer()
        bench.pass(milliseconds: 100)
        #expect(kinds(bench.west) == ["peer"] && !bench.west.environment.pendingSPIs.isEmpty)
        bench.pass(seconds: 100)
        #expect(bench.west.environment.pendingSPIs.isEmpty && bench.west.sessions.isEmpty)
        #expect(bench.east.sessions.isEmpty, "the peer was told, and has it no longer")
    }

    @Test(arguments: [true, false])
    func anEndWithdrawsTheQuestion(isInitiator: Bool) throws {
        let bench = bench { [isInitiator ? $0.west : $0.east] }
        let host = isInitiator ? bench.west : bench.east
        let (id, question) = try #require(host.questions.first)
        let session = try #require(host.session)
        host.perform(session) { $0.delete(environment: host.environment) }
        #expect(host.withdrawn == [id] && host.sessions.isEmpty)
        host.reply(id, question.answer())
        #expect(host.sessions.isEmpty && host.children.isEmpty)
    }

    @Test func aRefusalIsARefusal() {
        let bench = bench { [$0.east] }
        bench.east.answer(.peer(.failure(Refusal(authentication: "the peer is not", remedy: "none"))))
        bench.pass(milliseconds: 100)
        #expect(bench.west.sessions.isEmpty && bench.east.session?.isRefused == true)
        bench.pass(seconds: 100)
        bench.expectNothingLeft()
    }

    /// Neither keys nor octets are in a description.
    @Test func noSecretIsDescribed() throws {
        let bench = bench { [$0.west, $0.east] }
        let question = try #require(bench.west.questions.first?.question)
        #expect("\(question)" == "the proof of who we are, for connection to-east")
    }

    /// Whole gateways whose signatures and verifications are made elsewhere: up, reauthenticated, and down without a trace.
    @Test func managersWaitForTheWorld() {
        let pair = MoonAndSun()
        for host in [pair.moon, pair.sun] { host.answersLater = true }
        pair.bringUp()
        #expect(pair.moon.answered == 2 && pair.sun.answered == 2)
        #expect(pair.moon.manager.rekey(SAFilter(connection: "sun"), reauthenticate: true, at: pair.now) == 1)
        pair.lab.run(seconds: 30)
        pair.expectTunnel()
        #expect(pair.moon.answered == 4 && pair.sun.answered == 4)
        #expect(pair.terminate(SAFilter(connection: "sun")) == 1)
        pair.lab.run(seconds: 10)
        pair.expectNothingLeft()
    }
}
