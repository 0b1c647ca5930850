import IKEv2
import NIOCore
import NIOPosix
import Packets
import Platform

/// Looks host names up on other threads, so that the event loop never waits. Belongs to the loop.
final class NameResolver {
    private let eventLoop: any EventLoop
    private let pool: NIOThreadPool
    /// The requests that wait for a name that is being looked up: one question for all of them.
    private var waiting: [String: [([IPAddress]) -> Void]] = [:]
    /// Names that a thread is still at, whether or not anybody waits.
    private var busy: Set<String> = []
    private let lookUp: @Sendable (String) -> [IPAddress]
    private let patience: TimeAmount

    private static let mostAddresses = 16
    /// Look-ups under way at a time. They may take long when no name server answers, and nothing else waits for them.
    private static let mostThreads = 4

    private static let threads: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: mostThreads)
        pool.start()
        return pool
    }()

    /// - Parameters:
    ///   - patience: after which nobody waits any more, and there is no address.
    ///   - lookUp: may block.
    init(
        eventLoop: any EventLoop, patience: TimeAmount = .seconds(20),
        lookUp: @escaping @Sendable (String) -> [IPAddress] = NameResolver.addresses(of:)
    ) {
        self.eventLoop = eventLoop
        self.patience = patience
        self.lookUp = lookUp
        pool = Self.threads
    }

    /// Calls `answer` later, on the loop, with the addresses in the resolver's order; none: there is no such name, or
    /// nobody answered.
    func resolve(_ name: String, _ answer: @escaping ([IPAddress]) -> Void) {
        if let literal = IPAddress(name) {
            let bound = NIOLoopBound(answer, eventLoop: eventLoop)
            return eventLoop.execute { bound.value([literal]) }
        }
        waiting[name, default: []].append(answer)
        guard waiting[name]?.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: patience) { bound.value.answered(name, []) }
        guard busy.insert(name).inserted else { return }
        pool.runIfActive(eventLoop: eventLoop) { [lookUp] in lookUp(name) }
            .whenComplete { result in
                bound.value.busy.remove(name)
                bound.value.answered(name, (try? result.get()) ?? [])
            }
    }

    private func answered(_ name: String, _ addresses: [IPAddress]) {
        for answer in waiting.removeValue(forKey: name) ?? [] { answer(addresses) }
    }

    /// Blocks for as long as the system's resolver takes.
    static func addresses(of name: String) -> [IPAddress] { SystemNames.addresses(of: name, atMost: mostAddresses) }
}
