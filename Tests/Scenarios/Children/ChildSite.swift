import Cryptography
import Dataplane
import IKEv2
import IPsec
import InMemory
import Logging
import Packets
import Policy
import TestSupport

@testable import Gateway

/// One site of a `ChildLab`: a gateway in memory whose SAs and policies come through `GatewayDataplane`.
final class ChildSite: ChildPublishing {
    let site: MemorySite
    let dataplane: GatewayDataplane
    /// The policies that steering and host routes would follow now.
    private(set) var steered: [SecurityPolicy] = []
    private(set) var published = 0
    var isDeferred = false
    /// How often what is covered was said to have changed.
    private(set) var coverChanges = 0

    init(_ site: MemorySite) {
        self.site = site
        dataplane = GatewayDataplane(
            builder: site.builder, configured: [], engine: OpenSSLEngine(), logger: Logger(label: "test"))
        dataplane.host = self
        dataplane.coveredChanged = { [unowned self] in coverChanges += 1 }
    }

    var now: Instant { Instant(nanoseconds: site.clock.now) }
    var expectedSPIs: ExpectedSPIs { site.gateway.expectedSPIs }

    /// At once, unless a test wants to see what comes together.
    func settleSoon() { if !isDeferred { dataplane.settle() } }

    /// Workers take a snapshot at the start of a round.
    func publish(_ builder: SnapshotBuilder, whenSeen: (() -> Void)?) {
        published += 1
        let publication = site.gateway.publish(builder.build())
        guard let whenSeen else { return }
        waiters.add(publication, now: now, whenSeen)
        if !areWorkersStalled { site.round() }
        followWorkers()
    }

    private var waiters = PublicationWaiters(patience: .milliseconds(250))
    /// How often a worker was said to be late.
    private(set) var lateWorkers = 0

    /// Runs what waits for workers.
    func followWorkers() {
        let findings = waiters.follow(now: now, isSeenByAll: site.gateway.isSeenByAll)
        for continuation in findings.ready { continuation() }
        if findings.late != nil { lateWorkers += 1 }
    }

    /// The cores of the workers are taken by something else.
    var areWorkersStalled = false

    func policiesChanged(_ change: PolicyChange) {
        steered += change.added
        for policy in change.removed { if let index = steered.firstIndex(of: policy) { steered.remove(at: index) } }
    }

    /// Whether the steering program has room; a test may say that it has not.
    var hasRoom = true
    func canSteer(_ selectors: [TrafficSelector]) -> Bool { hasRoom }

    func pathMTU(towards peer: IPAddress) -> Int { 1500 }

    /// What the manager would be told: limits, then what workers say.
    func news() -> [DataplaneEvent] {
        dataplane.takeLimitEvents() + site.gateway.takeEvents().compactMap(dataplane.translate)
    }

    /// What is left of SAs and policies in the tables that workers use.
    var leftovers: String {
        let current = site.gateway.current
        let counts = [
            current.inboundAssociations.count, current.outboundAssociations.count, current.policies.count,
            steered.count, dataplane.spis.count,
        ]
        return counts.allSatisfy { $0 == 0 } && dataplane.isEmpty ? "" : "\(counts)"
    }
}

/// A CHILD_SA as each of the two sites has it.
struct ChildPair {
    var left: ChildSA
    var right: ChildSA
}

/// Two sites, and what IKE would negotiate between them.
final class ChildLab {
    let network: MemoryNetwork
    let left: ChildSite
    let right: ChildSite
    private var number: UInt32 = 0

    init(workers: Int = 1) throws {
        network = try MemoryNetwork(sites: 2, MemorySite.Options { $0.workers = workers })
        left = ChildSite(network.left)
        right = ChildSite(network.right)
    }

    /// What a test may want of a CHILD_SA.
    struct Options {
        var connection = "lab"
        var name = "net"
        var requestID: UInt32 = 7
        var outer = AddressFamily.ipv4
        var transform = ESPTransform.aes128GCM16
        var extended = false
        var isEncapsulated = false
        /// The port from which the right side sees the left one.
        var leftPort: UInt16 = 4500
        var lifetime = Lifetime.unlimited
        var selectors: [TrafficSelector]?
        /// What the child names.
        var replayWindow: Int?

        init(_ change: (inout Options) -> Void = { _ in }) { change(&self) }
    }

    /// Everything between the two networks, as the left site sends it.
    var wholeNetworks: [TrafficSelector] {
        [AddressFamily.ipv4, .ipv6].map {
            TrafficSelector(source: left.site.plan.network($0), destination: right.site.plan.network($0))
        }
    }

    func negotiate(_ options: Options = Options()) throws -> ChildPair {
        let (leftSPI, rightSPI) = (try left.dataplane.allocateSPI(), try right.dataplane.allocateSPI())
        number += 1
        func key(_ salt: UInt8) -> SecretBytes {
            SecretBytes(
                copying: (0..<options.transform.keyMaterialLength).map {
                    UInt8(truncatingIfNeeded: $0 &* 5 &+ Int(number)) ^ salt
                })
        }
        let here = Endpoint(left.site.plan.wanAddress(options.outer), port: options.isEncapsulated ? 4500 : 500)
        let there = Endpoint(right.site.plan.wanAddress(options.outer), port: options.isEncapsulated ? 4500 : 500)
        let seenByRight = Endpoint(here.address, port: options.isEncapsulated ? options.leftPort : 500)
        let selectors = options.selectors ?? wholeNetworks
        var configured = Child(name: options.name, proposals: [])
        configured.replayWindow = options.replayWindow
        func child(
            inbound: SPI, outbound: SPI, keys: (SecretBytes, SecretBytes), selectors: [TrafficSelector],
            path: Path
        ) -> ChildSA {
            ChildSA(
                id: number, child: configured, connectionName: options.connection,
                inboundSPI: inbound, outboundSPI: outbound, mode: .tunnel, transform: options.transform,
                extendedSequenceNumbers: options.extended, keyExchange: nil, inboundKey: keys.0, outboundKey: keys.1,
                selectors: selectors, localSelectors: [], remoteSelectors: [], requestID: options.requestID, path: path,
                isEncapsulated: options.isEncapsulated, establishedAt: 0, lifetime: options.lifetime)
        }
        return ChildPair(
            left: child(
                inbound: leftSPI, outbound: rightSPI, keys: (key(0x55), key(0xAA)), selectors: selectors,
                path: Path(local: here, remote: there)),
            right: child(
                inbound: rightSPI, outbound: leftSPI, keys: (key(0xAA), key(0x55)),
                selectors: selectors.map(\.reversed), path: Path(local: there, remote: seenByRight)))
    }

    /// Both directions at both sites.
    func install(_ pair: ChildPair) throws {
        try right.dataplane.installInbound(pair.right)
        try left.dataplane.installInbound(pair.left)
        try left.dataplane.installOutbound(pair.left)
        try right.dataplane.installOutbound(pair.right)
    }

    @discardableResult
    func connect(_ options: Options = Options()) throws -> ChildPair {
        let pair = try negotiate(options)
        try install(pair)
        return pair
    }

    /// What a child of the left site covers: everything between the two networks.
    func cover(
        name: String = "net", connection: String = "lab", requestID: UInt32 = 7, selectors: [TrafficSelector]? = nil,
        rank: UInt64 = 1, acquires: Bool = false, priority: UInt32? = nil
    ) -> ChildCover {
        var child = Child(name: name, proposals: [])
        child.priority = priority
        return ChildCover(
            connectionName: connection, child: child, requestID: requestID, selectors: selectors ?? wholeNetworks,
            rank: rank, acquires: acquires)
    }

    func remove(_ pair: ChildPair) {
        for (site, sa) in [(left, pair.left), (right, pair.right)] {
            site.dataplane.removeOutbound(sa)
            site.dataplane.removeInbound(sa)
        }
    }

    /// Packets from one site's network to the other's, with different contents and ports.
    static func packets(from: ChildSite, to: ChildSite, _ family: AddressFamily = .ipv4, first: Int = 0, count: Int)
        -> [[UInt8]]
    {
        (first..<first + count).map { number in
            var packet = IPPacket(from: from.site.plan.host(family), to: to.site.plan.host(family), size: 100)
            packet.sourcePort = 10_000 + UInt16(number % 16)
            packet.payload.replaceSubrange(0..<8, with: bigEndian(UInt64(number)))
            return packet.bytes
        }
    }

    /// Whether these packets arrive, from left to right.
    func carries(_ family: AddressFamily = .ipv4, count: Int = 5) -> Bool {
        let packets = Self.packets(from: left, to: right, family, count: count)
        return network.exchange(packets) == packets.map { $0.routed(hops: 2) }
    }

    /// The same from right to left.
    func carriesBack(_ family: AddressFamily = .ipv4, count: Int = 5) -> Bool {
        let packets = Self.packets(from: right, to: left, family, count: count)
        return network.exchange(packets, from: right.site, to: left.site) == packets.map { $0.routed(hops: 2) }
    }
}
