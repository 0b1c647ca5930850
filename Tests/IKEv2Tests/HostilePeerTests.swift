import IKEv2Messages
import Testing

@testable import IKEv2

/// A peer that has the keys and sends nonsense: nothing traps, no order is broken, nothing is left behind. What is sent
/// are real requests and responses with payloads left out, doubled, mixed and damaged.
@Suite struct HostilePeerTests {
    /// A fixed sequence for each argument.
    private struct Sequence: RandomNumberGenerator {
        let environment: TestEnvironment
        mutating func next() -> UInt64 { environment.random(count: 8).reduce(0) { $0 << 8 | UInt64($1) } }
    }

    /// The payloads of all protected messages of a bench in which everything happens.
    private static let samples: [(exchange: ExchangeType, payloads: [Payload])] = {
        let bench = TwoSessions()
        var samples: [(ExchangeType, [Payload])] = []
        func collect(from first: Int) {
            for number in first..<(bench.datagrams.count + 1) {
                guard let header = try? ReceivedMessage(decoding: bench.datagrams[number - 1]).header,
                    let payloads = bench.contents(of: number)
                else { continue }
                samples.append((header.exchange, payloads))
            }
        }
        bench.initiate()
        bench.run()
        if let session = bench.west.session, let child = session.children.first {
            bench.west.perform(session) { $0.rekeyChild(id: child.id, environment: bench.west.environment) }
            bench.run()
            bench.west.perform(session) {
                $0.create(.test("more", network: 1, remoteNetwork: 2), environment: bench.west.environment)
            }
            bench.run()
        }
        if let session = bench.east.session, let child = session.children.first {
            bench.east.perform(session) { $0.deleteChild(id: child.id, environment: bench.east.environment) }
            bench.run()
        }
        collect(from: 3)
        let before = bench.datagrams.count
        if let session = bench.west.session {
            bench.network.faults[before + 3] = .lost
            bench.west.perform(session) { $0.rekeyIKE(environment: bench.west.environment) }
            bench.pass(milliseconds: 5)
            collect(from: before + 1)
        }
        return samples
    }()

    private func nonsense(_ random: inout Sequence) -> (ExchangeType, [Payload]) {
        var (exchange, payloads) = Self.samples.randomElement(using: &random) ?? (.informational, [])
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            switch Int.random(in: 0...4, using: &random) {
            case 0: if !payloads.isEmpty { payloads.remove(at: .random(in: payloads.indices, using: &random)) }
            case 1: if let one = payloads.randomElement(using: &random) { payloads.append(one) }
            case 2: payloads.shuffle(using: &random)
            case 3:
                let other = Self.samples.randomElement(using: &random)?.payloads.randomElement(using: &random)
                if let other { payloads.append(other) }
            default:
                let types: [NotifyType] = [
                    .noProposalChosen, .temporaryFailure, .childSANotFound, .rekeySA, .invalidKeyExchange,
                    .useTransportMode, .initialContact, .invalidSyntax, .authenticationFailed, .cookie,
                    .trafficSelectorsUnacceptable, .setWindowSize, .authenticationLifetime,
                ]
                if let type = types.randomElement(using: &random) { payloads.append(.notify(NotifyPayload(type))) }
            }
        }
        if Int.random(in: 0...3, using: &random) == 0 { exchange = .createChild }
        return (exchange, damaged(payloads, &random))
    }

    /// One byte of the encoded payloads is changed; as it was when they decode no more.
    private func damaged(_ payloads: [Payload], _ random: inout Sequence) -> [Payload] {
        let header = IKEHeader(
            initiatorSPI: 1, responderSPI: 2, exchange: .informational, direction: .request, isFromInitiator: true,
            messageID: 1)
        guard Bool.random(using: &random), let first = payloads.first,
            var bytes = try? Message(header: header, payloads: payloads).encoded(), bytes.count > IKEHeader.length
        else { return payloads }
        bytes[.random(in: IKEHeader.length..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
        let content = Array(bytes.dropFirst(IKEHeader.length))
        let message = try? Message(header: header, payloads: [], firstEncrypted: first.type, content: content)
        return message?.encryptedPayloads ?? payloads
    }

    @Test(arguments: 1...60)
    func nothingTrapsAndNothingIsLeft(seed: Int) {
        var random = Sequence(environment: TestEnvironment(seed: UInt64(seed)))
        let bench = TwoSessions()
        // Half of them before IKE_AUTH.
        if seed.isMultiple(of: 2) { bench.network.faults[3] = .lost }
        bench.initiate()
        bench.pass(milliseconds: 100)
        for _ in 0..<40 {
            let host = Bool.random(using: &random) ? bench.east : bench.west
            guard let session = host.session else { break }
            let (exchange, payloads) = nonsense(&random)
            if Bool.random(using: &random), let outstanding = session.window.outstanding {
                bench.injectProtected(
                    to: host, outstanding.exchange, .response, messageID: outstanding.messageID, payloads)
            } else {
                bench.injectProtected(
                    to: host, exchange, .request, messageID: session.window.expectedRequestID, payloads)
            }
            if Int.random(in: 0...3, using: &random) == 0, let child = host.session?.children.first {
                host.perform(session) { $0.rekeyChild(id: child.id, environment: host.environment) }
            }
        }
        bench.network.isCut = true
        for host in [bench.west, bench.east] {
            for session in host.sessions { host.perform(session) { $0.delete(environment: host.environment) } }
        }
        bench.pass(seconds: 400)
        bench.expectNothingLeft()
    }

    /// No datagram is taken for another's: every byte of the first four messages changed, one at a time.
    @Test func damagedDatagramsChangeNothing() {
        let bench = TwoSessions()
        bench.initiate()
        bench.run()
        let datagrams = bench.datagrams
        bench.forgetTrace()
        for datagram in datagrams {
            for position in datagram.indices {
                var bytes = datagram
                bytes[position] ^= 0x40
                bench.inject(bytes, to: bench.west)
                // What opens a negotiation of its own is another matter.
                if bytes[18] != 34 { bench.inject(bytes, to: bench.east) }
            }
        }
        bench.run()
        // All but what the west takes for the beginning of a negotiation, which it is for nobody.
        #expect(bench.trace.filter { !$0.hasPrefix("IKE_SA_INIT response") } == [])
        bench.expectJoined()
    }
}
