import Cryptography
import IPsec
import Packets
import Telemetry
import Testing

@testable import Policy

@Suite("Choosing the outbound SA of a policy")
struct OutboundSelectionTests {
    private func decide(
        _ associations: [OutboundSA], _ action: SecurityPolicy.Action, worker: Int = 0,
        flow: PacketSummary? = nil, workers: Int = 4
    ) throws -> (decision: OutboundDecision, index: Int?, snapshot: Snapshot) {
        let policy = SecurityPolicy(
            selector: try selector("10.1.0.0/16", "10.2.0.0/16"), direction: .out, action: action)
        let snapshot = try SnapshotBuilder.snapshot(workers: workers, policies: [policy], outbound: associations)
        let decision = snapshot.tables.pointee.outbound(
            try flow ?? Fixture.flow("10.1.0.1", "10.2.0.1"), worker: worker)
        return (decision, associations.firstIndex { $0.runtime == decision.sa }, snapshot)
    }

    struct Match: Sendable {
        var requestID: UInt32
        var source: String?
        var destination: String?
        var isServed: Bool
    }

    /// The SA: request id 7, 192.0.2.1 -> 192.0.2.2.
    static let matches: [Match] = [
        Match(requestID: 7, source: "192.0.2.1", destination: "192.0.2.2", isServed: true),
        Match(requestID: 7, source: nil, destination: nil, isServed: true),
        Match(requestID: 0, source: "192.0.2.1", destination: "192.0.2.2", isServed: true),
        Match(requestID: 0, source: nil, destination: "192.0.2.2", isServed: true),
        Match(requestID: 8, source: "192.0.2.1", destination: "192.0.2.2", isServed: false),
        Match(requestID: 7, source: "192.0.2.9", destination: "192.0.2.2", isServed: false),
        Match(requestID: 7, source: "192.0.2.1", destination: "192.0.2.9", isServed: false),
        Match(requestID: 0, source: nil, destination: "192.0.2.1", isServed: false),
    ]

    @Test("Request id and endpoints have to be those of the template", arguments: matches)
    func template(match: Match) throws {
        let association = try Fixture.outbound(spi: 300, requestID: 7)
        let (decision, index, _) = try decide(
            [association], Fixture.protect(match.requestID, match.source, match.destination))
        #expect(decision.action == .protect)
        #expect((index == 0) == match.isServed)
        #expect(decision.verdict == (match.isServed ? .pass : .drop(.noOutboundSA)))
        #expect(decision.destination == (try address(match.isServed ? "192.0.2.2" : "10.2.0.1")))
    }

    @Test("The newest SA wins")
    func newest() throws {
        let associations = try (0..<3).map { try Fixture.outbound(spi: 300 + UInt32($0)) }
        #expect(try decide(associations, Fixture.protect(1)).index == 2)
    }

    @Test("An SA of the preferred request id wins, however new the others are", arguments: 0..<4)
    func preferred(worker: Int) throws {
        let action = SecurityPolicy.Action.protect(.init(requestID: 2, alternatives: [1, 3]))
        // The last one belongs to the worker, the others to worker 0.
        func index(_ ids: [UInt32]) throws -> Int? {
            let associations = try ids.enumerated().map { number, id in
                try Fixture.outbound(
                    spi: 300 + UInt32(number), requestID: id, owner: number == ids.count - 1 ? worker : 0)
            }
            return try decide(associations, action, worker: worker).index
        }
        #expect(try index([2, 1, 3]) == 0)
        #expect(try index([1, 3, 2]) == 2)
        #expect(try index([1, 3]) == 0)
        #expect(try index([3, 1, 1]) == 2)
        #expect(try index([3]) == 0 && index([4]) == nil)
    }

    @Test("A worker uses its own SA, else all use the same", arguments: 0..<4)
    func perWorker(worker: Int) throws {
        // Workers 0 and 2 have two each, 1 and 3 none.
        let owners = [0, 2, 0, 2]
        let associations = try owners.enumerated().map {
            try Fixture.outbound(spi: 300 + UInt32($0.offset), owner: $0.element)
        }
        let (decision, index, _) = try decide(associations, Fixture.protect(1), worker: worker)
        #expect(index == [2, 3, 3, 3][worker])
        #expect(Int(decision.owner) == [0, 2, 2, 2][worker])
    }

    @Test("An SA that is spent is the last choice, whoever owns it and whatever its rank", arguments: 0..<2)
    func spent(worker: Int) throws {
        func spend(_ association: OutboundSA) {
            var frame = [UInt8](repeating: 0, count: 512)
            frame.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                var operation = ESPOperation(context: base, header: base, payloadLength: 0)
                var outer = OuterPacket(start: base, length: 0)
                for _ in 0..<2 {
                    _ = ESPOutbound.prepare(
                        association.runtime, inner: base + 256, innerLength: 60, trafficClass: 0,
                        nextHeader: IPProtocol.ipv4, dontFragment: true, now: 1, operation: &operation, outer: &outer)
                }
            }
            #expect(!association.events.isDisjoint(with: .hard))
        }
        func made(_ number: UInt32, requestID: UInt32 = 1, owner: Int) throws -> OutboundSA {
            var parameters = try Fixture.parameters(spi: 300 + number, requestID: requestID, owner: owner)
            parameters.lifetime = Lifetime(hardPackets: 1)
            return try OutboundSA(parameters, engine: OpenSSLEngine(), now: 0)
        }
        let action = SecurityPolicy.Action.protect(.init(requestID: 1, alternatives: [2]))
        let associations = [
            try made(0, owner: 1), try made(1, owner: worker), try made(2, requestID: 2, owner: 0),
        ]
        #expect(try decide(associations, action, worker: worker).index == 1)
        spend(associations[1])
        #expect(try decide(associations, action, worker: worker).index == 0)
        spend(associations[0])
        #expect(try decide(associations, action, worker: worker).index == 2)
        spend(associations[2])
        #expect(try decide(associations, action, worker: worker).index == 1, "one that says why it refuses")
    }

    @Test("An SA with selectors takes only what they describe")
    func selectors() throws {
        let tcp = TrafficSelector(source: .any(.ipv4), destination: .any(.ipv4), protocol: IPProtocol.tcp)
        let elsewhere = try selector("172.16.0.0/12", "172.16.0.0/12")
        let associations = [
            try Fixture.outbound(spi: 300, selectors: [.any(.ipv4)]),
            try Fixture.outbound(spi: 301, selectors: [elsewhere, tcp]),
            try Fixture.outbound(spi: 302, selectors: [elsewhere]),
        ]
        let tcpFlow = try Fixture.flow("10.1.0.1", "10.2.0.1", protocol: IPProtocol.tcp)
        let udpFlow = try Fixture.flow("10.1.0.1", "10.2.0.1", protocol: IPProtocol.udp)
        #expect(try decide(associations, Fixture.protect(1), flow: tcpFlow).index == 1)
        #expect(try decide(associations, Fixture.protect(1), flow: udpFlow).index == 0)
        #expect(try decide(Array(associations.dropFirst()), Fixture.protect(1), flow: udpFlow).decision.sa == nil)
    }

    @Test("A worker's own SA that does not take the packet gives way to another worker's")
    func ownSelectorDoesNotMatch() throws {
        let tcp = TrafficSelector(source: .any(.ipv4), destination: .any(.ipv4), protocol: IPProtocol.tcp)
        let associations = [
            try Fixture.outbound(spi: 300, owner: 1), try Fixture.outbound(spi: 301, owner: 0, selectors: [tcp]),
        ]
        let (decision, index, _) = try decide(associations, Fixture.protect(1), worker: 0)
        #expect(index == 0 && decision.owner == 1)
    }

    @Test("Removing and adding SAs changes what later snapshots say, not what earlier ones did")
    func replacement() throws {
        let builder = SnapshotBuilder(workers: 1)
        try builder.setPolicies([SecurityPolicy(selector: .any(.ipv4), direction: .out, action: Fixture.protect(1))])
        let old = try Fixture.outbound(spi: 300)
        let new = try Fixture.outbound(spi: 301)
        let flow = try Fixture.flow("10.1.0.1", "10.2.0.1")
        try builder.addOutbound(old)
        let first = builder.build()
        try builder.addOutbound(new)
        #expect(builder.removeOutbound(old) && !builder.removeOutbound(old))
        let second = builder.build()
        #expect(builder.removeOutbound(new))
        let third = builder.build()
        #expect(first.tables.pointee.outbound(flow, worker: 0).sa == old.runtime)
        #expect(second.tables.pointee.outbound(flow, worker: 0).sa == new.runtime)
        #expect(third.tables.pointee.outbound(flow, worker: 0).sa == nil)
        #expect([first, second, third].map(\.generation) == [1, 2, 3])
    }

    @Test("With 2,000 policies each finds its own SA")
    func many() throws {
        let count = 2000
        let policies = try (0..<count).map {
            SecurityPolicy(
                selector: TrafficSelector(
                    source: .all(.ipv4),
                    destination: IPPrefix(address: IPAddress(ipv4: 0x0A00_0000 + UInt32($0) << 8), length: 24)),
                direction: .out, action: try Fixture.protect(UInt32($0 + 1)))
        }
        let associations = try (0..<count).map {
            try Fixture.outbound(spi: SPI(1000 + UInt32($0)), requestID: UInt32($0 + 1))
        }
        let snapshot = try SnapshotBuilder.snapshot(workers: 1, policies: policies, outbound: associations.shuffled())
        for number in 0..<count {
            let flow = PacketSummary(
                source: IPAddress(ipv4: 1), destination: IPAddress(ipv4: 0x0A00_0001 + UInt32(number) << 8),
                upperProtocol: 6)
            #expect(snapshot.tables.pointee.outbound(flow, worker: 0).sa == associations[number].runtime)
        }
    }
}
