import Cryptography
import Dataplane
import Gateway
import IKEv2
import IPsec
import Logging
import Packets
import Platform
import Policy

/// Measures what CHILD_SAs cost the control thread in the dataplane: keys, tables, publication, and which destinations are
/// steered. In memory, through the gateway's own classes; each step is published by itself, the dearest case. What a
/// worker lets the control thread wait, and the kernel's part (steering map, host routes), are left out.
package struct ChildBenchmark {
    /// The cost of one CHILD_SA, both directions, in microseconds of processor time.
    package struct Cost: Hashable, Sendable {
        /// CHILD_SAs that are there meanwhile.
        package var present: Int
        package var up: Double
        /// The new one comes, traffic moves to it, the old one goes.
        package var rekey: Double
        package var down: Double
    }

    package struct Report: Hashable, Sendable {
        /// The measurements in ascending order of `present`.
        package var costs: [Cost]
        /// All that come up, one after the other, seconds of processor time.
        package var seconds: Double
    }

    private let dataplane: any ChildDataplane
    private let host = BenchmarkHost()
    private var number = 0

    package init() {
        var logger = Logger(label: "bench")
        logger.logLevel = .critical
        dataplane = ChildTables.make(around: host, logger: logger)
    }

    /// - Parameter sizes: how many CHILD_SAs are to be there when costs are measured, in ascending order.
    package mutating func run(_ sizes: [Int]) throws -> Report {
        var report = Report(costs: [], seconds: 0)
        var children: [ChildSA] = []
        for size in sizes {
            let start = SystemClock.ofThread()
            while children.count < size { children.append(try up()) }
            report.seconds += Double(SystemClock.ofThread() - start) / 1e9
            report.costs.append(try cost(present: size))
        }
        return report
    }

    /// Means over a hundred.
    private mutating func cost(present: Int) throws -> Cost {
        let count = 100
        var children: [ChildSA] = []
        let start = SystemClock.ofThread()
        for _ in 0..<count { children.append(try up()) }
        let isUp = SystemClock.ofThread()
        for index in children.indices { children[index] = try rekeyed(children[index]) }
        let isRekeyed = SystemClock.ofThread()
        for child in children { down(child) }
        let end = SystemClock.ofThread()
        let scale = 1e3 * Double(count)
        return Cost(
            present: present, up: Double(isUp - start) / scale, rekey: Double(isRekeyed - isUp) / scale,
            down: Double(end - isRekeyed) / scale)
    }

    private mutating func up() throws -> ChildSA {
        number += 1
        let child = try makeChild(number)
        // As a responder: both, then the answer.
        try dataplane.installInbound(child)
        try dataplane.installOutbound(child)
        dataplane.settle()
        return child
    }

    private func rekeyed(_ old: ChildSA) throws -> ChildSA {
        let new = try makeChild(Int(old.id))
        try dataplane.installInbound(new)
        dataplane.settle()
        try dataplane.installOutbound(new)
        dataplane.removeOutbound(old)
        dataplane.settle()
        dataplane.removeInbound(old)
        dataplane.settle()
        return new
    }

    private func down(_ child: ChildSA) {
        dataplane.removeOutbound(child)
        dataplane.removeInbound(child)
        dataplane.settle()
    }

    /// A tunnel between 10.0.0.0/8 and a network of its own, with a peer of its own.
    private func makeChild(_ number: Int) throws -> ChildSA {
        let spi = try dataplane.allocateSPI()
        let network = IPPrefix(address: IPAddress(ipv4: 0x1400_0000 + UInt32(number) << 8), length: 24)
        let path = Path(
            local: Endpoint(IPAddress(ipv4: 0xC000_0201), port: IPsecPort.keyExchange),
            remote: Endpoint(IPAddress(ipv4: 0xC612_0000 + UInt32(number)), port: IPsecPort.keyExchange))
        let key = SecretBytes(copying: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 20))
        return ChildSA(
            id: UInt32(number), child: Child(name: "net", proposals: []), connectionName: "peer-\(number)",
            inboundSPI: spi, outboundSPI: SPI(UInt32(number) + 256), mode: .tunnel, transform: .aes128GCM16,
            extendedSequenceNumbers: false, keyExchange: nil, inboundKey: key, outboundKey: key,
            selectors: [
                TrafficSelector(
                    source: IPPrefix(address: IPAddress(ipv4: 0x0A00_0000), length: 8), destination: network)
            ], localSelectors: [], remoteSelectors: [], requestID: UInt32(number), path: path, isEncapsulated: false,
            establishedAt: 0, lifetime: .unlimited)
    }
}

/// A control loop without a kernel. All workers are asleep, so nobody is waited for.
private final class BenchmarkHost: ChildPublishing {
    private let publisher = SnapshotPublisher(workers: 1)
    private var steered = 0

    let now: Instant = 1
    var expectedSPIs: ExpectedSPIs { publisher.expectedSPIs }
    func settleSoon() {}
    func publish(_ builder: SnapshotBuilder, whenSeen: (() -> Void)?) {
        publisher.publish(builder.build())
        whenSeen?()
    }
    func policiesChanged(_ change: PolicyChange) {
        steered += change.added.flatMap(PolicySteering.rules).count - change.removed.flatMap(PolicySteering.rules).count
    }
    func canSteer(_ selectors: [TrafficSelector]) -> Bool { true }
    func pathMTU(towards peer: IPAddress) -> Int { 1500 }
}
