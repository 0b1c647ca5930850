import Testing

@testable import IKEv2

/// Both ends rekey everything all the time over a network that loses, doubles, delays and reorders a third of what it
/// carries: afterwards there is one IKE SA, with one child that fits at both ends.
@Suite struct SoakTests {
    @Test(arguments: 1...8)
    func anythingMayHappenToMessages(seed: UInt64) {
        let bench = TwoSessions()
        func hurry(_ connection: Connection) -> Connection {
            var connection = connection
            connection.rekeyTime = 70
            connection.randomTime = 20
            connection.dpdDelay = 7
            connection.children[0].time = Child.Limit(rekey: 25, life: 0, random: 10)
            return connection
        }
        bench.connection = hurry(bench.connection)
        bench.east.connections[0] = hurry(bench.east.connections[0])
        for host in [bench.west, bench.east] { host.environment.settings.retransmitTries = 12 }
        let chance = TestEnvironment(seed: seed)
        let faults: [Fault] = [.lost, .doubled, .delayed(milliseconds: 400), .delayed(milliseconds: 3000), .overtaken]
        for number in 1...2000 {
            let byte = Int(chance.random(count: 1)[0])
            if byte < 85 { bench.network.faults[number] = faults[byte % faults.count] }
        }
        bench.initiate()
        bench.pass(seconds: 600)
        bench.network.faults = [:]
        bench.pass(seconds: 200)
        for host in [bench.west, bench.east] {
            let settled = host.sessions.filter { $0.status(at: bench.now) { _ in nil }.state == .established }
            #expect(settled.count == 1, "\(host.name)")
            #expect(host.closed.allSatisfy { $0.reason == .rekeyed }, "\(host.closed)")
            #expect(host.childrenUp.count == 1, "a child that does not replace another")
            #expect(!host.outbound.isEmpty)
        }
        // What one sends in, the other has.
        for sa in bench.west.outbound.values {
            #expect(bench.east.inbound[sa.outboundSPI]?.inboundKey == sa.outboundKey)
        }
        for sa in bench.east.outbound.values {
            #expect(bench.west.inbound[sa.outboundSPI]?.inboundKey == sa.outboundKey)
        }
    }
}
