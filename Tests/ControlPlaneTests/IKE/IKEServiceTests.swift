import Cryptography
import Foundation
import IKEv2
import IPsec
import Logging
import NIOCore
import NIOPosix
import Packets
import Testing

@testable import ControlPlane

/// Two services over real sockets on the loopback interface, with a dataplane that carries nothing.
@Suite struct IKEServiceTests {
    /// The two ends, on one event loop, and what the first one was told.
    final class Pair {
        var first: ServiceEnd?
        var second: ServiceEnd?
        weak var lastService: IKEService?
        var outcome: Result<Void, Explanation>?
        var events: [ManagerEvent.Kind] = []

        init(_ secrets: (String, String), keyLog: String?, on eventLoop: any EventLoop) throws {
            let addresses = (IPAddress(ipv4: 0x7F00_0001), IPAddress(ipv4: 0x7F00_0002))
            let port = UInt16.random(in: 20_000...30_000)
            let (first, second) = (
                try ServiceEnd(addresses.0, port: port, keyLog: keyLog, on: eventLoop),
                try ServiceEnd(addresses.1, port: port, keyLog: nil, on: eventLoop)
            )
            (self.first, self.second) = (first, second)
            lastService = first.service
            try first.load(secrets.0, peer: addresses.1)
            try second.load(secrets.1, peer: addresses.0)
            _ = first.service.addObserver { [weak self] in self?.events.append($0.event) }
            first.service.manager.initiate(connection: "site", child: "net", at: first.service.now) { [weak self] in
                self?.outcome = $0
            }
        }

        func stop() {
            first?.stop()
            second?.stop()
            (first, second) = (nil, nil)
        }
    }

    /// Runs two services, and hands `body` a way to ask the pair.
    private func withPair(
        _ secrets: (String, String), keyLog: String? = nil,
        _ body: ((@escaping @Sendable (Pair) -> Bool) throws -> Void) throws -> Void
    ) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.stop() }
        let eventLoop = group.next()
        let pair = try eventLoop.submit {
            NIOLoopBound(try Pair(secrets, keyLog: keyLog, on: eventLoop), eventLoop: eventLoop)
        }.wait()
        func eventually(_ holds: @escaping @Sendable (Pair) -> Bool) throws {
            for _ in 0..<6000 {
                if try eventLoop.submit({ holds(pair.value) }).wait() { return }
                usleep(10_000)
            }
            Issue.record("not within a minute")
        }
        try body(eventually)
        try eventLoop.submit { pair.value.stop() }.wait()
        // Nothing holds the service any more: its keys are gone.
        try eventually { $0.lastService == nil }
    }

    /// An output, and how many messages it had sent when SAs became live.
    private final class Round {
        let output: IKEOutput
        var sentBefore: [UInt64] = []

        init(on eventLoop: any EventLoop) throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let address = IPAddress(ipv4: 0x7F00_0001)
            let port = UInt16.random(in: 20_000...30_000)
            let dataplane = CountingDataplane()
            output = IKEOutput(
                sockets: try IKESockets(
                    ports: IKEPorts(plain: port, encapsulated: port + 1), addresses: [address], logger: logger),
                dataplane: dataplane, keyLog: nil, clock: { 0 }, eventLoop: eventLoop, logger: logger)
            dataplane.whenSettled = { [weak self] in
                if let self { sentBefore.append(output.sockets.counters.sent) }
            }
            let path = Path(local: Endpoint(address, port: port), remote: Endpoint(address, port: 9))
            for length in 28..<38 { output.send([UInt8](repeating: 1, count: length), path: path) }
        }
    }

    @Test func messagesOfARoundLeaveTogetherOnceTheirSAsAreLive() throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.stop() }
        let eventLoop = group.next()
        let round = try eventLoop.submit {
            let round = try Round(on: eventLoop)
            #expect(round.output.sockets.counters.sent == 0 && round.sentBefore == [])
            return NIOLoopBound(round, eventLoop: eventLoop)
        }.wait()
        let (sentBefore, sent) = try eventLoop.submit {
            (round.value.sentBefore, round.value.output.sockets.counters.sent)
        }.wait()
        #expect(sentBefore == [0] && sent == 10)
    }

    @Test func aTunnelComesUpAndGoesDown() throws {
        try withPair(("secret", "secret")) { eventually in
            try eventually { pair in
                guard case .success = pair.outcome else { return false }
                return [pair.first, pair.second].allSatisfy {
                    $0?.dataplane.inbound == 1 && $0?.dataplane.outbound == 1
                }
            }
            try eventually { pair in
                pair.events.contains { if case .session(.childUp) = $0 { true } else { false } }
            }
            try eventually { pair in
                pair.first?.service.shutDown()
                return true
            }
            try eventually { pair in
                [pair.first, pair.second].allSatisfy {
                    $0?.service.isIdle == true && $0?.dataplane.inbound == 0 && $0?.dataplane.outbound == 0
                }
            }
            try eventually { ($0.first?.service.datagrams.received ?? 0) >= 3 }
        }
    }

    @Test func aWrongKeyIsExplainedToWhoAsked() throws {
        try withPair(("secret", "another")) { eventually in
            try eventually { pair in
                guard case .failure(let explanation) = pair.outcome else { return false }
                return !explanation.what.isEmpty
            }
            try eventually { pair in
                pair.events.contains { if case .session(.failed) = $0 { true } else { false } }
                    && pair.first?.dataplane.inbound == 0
            }
        }
    }

    @Test func keysAreWrittenWhenTheyAreAskedFor() throws {
        let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).keys"
        defer { for name in [path, path + ".esp"] { unlink(name) } }
        try withPair(("secret", "secret"), keyLog: path) { eventually in
            try eventually { if case .success = $0.outcome { true } else { false } }
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count == 1)
        #expect(try String(contentsOfFile: path + ".esp", encoding: .utf8).split(separator: "\n").count == 2)
    }
}
