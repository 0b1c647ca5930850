import Glibc
import NIOCore
import NIOPosix
import Packets
import Synchronization
import Testing

@testable import ControlPlane

@Suite struct NameResolverTests {
    /// What a resolver says of a name, asked `times` at once.
    private func addresses(of name: String, times: Int = 1) throws -> [[IPAddress]] {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.stop() }
        let eventLoop = group.next()
        let answers = (0..<times).map { _ in eventLoop.makePromise(of: [IPAddress].self) }
        try eventLoop.submit {
            let resolver = NameResolver(eventLoop: eventLoop)
            for answer in answers { resolver.resolve(name) { answer.succeed($0) } }
        }.wait()
        return try answers.map { try $0.futureResult.wait() }
    }

    @Test func aNameOfThisHostIsFound() throws {
        let found = try addresses(of: "localhost")[0]
        #expect(!found.isEmpty && found.allSatisfy(\.isLoopback))
    }

    @Test func everybodyWhoAsksIsAnswered() throws {
        let answers = try addresses(of: "localhost", times: 3)
        #expect(answers.count == 3 && Set(answers).count == 1 && !answers[0].isEmpty)
    }

    @Test(arguments: ["192.0.2.7", "2001:db8::7"]) func anAddressIsItsOwnAnswer(text: String) throws {
        #expect(try addresses(of: text) == [[try #require(IPAddress(text))]])
    }

    /// A name server that does not answer holds up neither who asks nor anybody else.
    @Test(.timeLimit(.minutes(1))) func aLookUpThatHangsIsGivenUp() throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.stop() }
        let eventLoop = group.next()
        let (answer, again) = (
            eventLoop.makePromise(of: [IPAddress].self), eventLoop.makePromise(of: [IPAddress].self)
        )
        let asked = Counter()
        try eventLoop.submit {
            let resolver = NameResolver(eventLoop: eventLoop, patience: .milliseconds(50)) { _ in
                asked.increase()
                usleep(1_000_000)
                return [IPAddress(ipv4: 1)]
            }
            resolver.resolve("slow.example") { first in
                answer.succeed(first)
                resolver.resolve("slow.example") { again.succeed($0) }
            }
        }.wait()
        #expect(try answer.futureResult.wait() == [])
        #expect(try again.futureResult.wait() == [])
        // The second question found the first one still under way.
        #expect(asked.count == 1)
        // What shares NIO's threads, as the status does, is not held up.
        #expect(try NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { 7 }.wait() == 7)
    }

    @Test func aNameThatCannotExistHasNoAddress() throws {
        // No label is longer than 63 bytes, so nobody is asked.
        #expect(try addresses(of: String(repeating: "x", count: 64) + ".invalid") == [[]])
    }
}

private final class Counter: Sendable {
    private let value = Mutex(0)

    var count: Int { value.withLock { $0 } }

    func increase() { value.withLock { $0 += 1 } }
}
