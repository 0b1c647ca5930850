import IPsec
import Packets
import Telemetry

/// What a policy does with a packet, as the dataplane sees it.
@frozen
public enum PolicyAction: UInt8, Sendable, BitwiseCopyable {
    case protect
    case bypass
    case discard
    /// No policy matches.
    case none
    /// A later fragment whose missing ports would decide (RFC 4301 section 7).
    case needsReassembly
}

/// One policy as workers read it. Its place in the array of records is its index in decisions.
@frozen
@usableFromInline
struct PolicyRecord: @unchecked Sendable {
    @usableFromInline let selector: TrafficSelector
    @usableFromInline let action: PolicyAction
    @usableFromInline let hasSource: Bool
    @usableFromInline let hasDestination: Bool
    @usableFromInline let acquires: Bool
    @usableFromInline let requestID: UInt32
    @usableFromInline let source: IPAddress
    @usableFromInline let destination: IPAddress
    /// Further request ids; the counters keep them alive.
    @usableFromInline let alternatives: UnsafePointer<UInt32>
    @usableFromInline let alternativeCount: Int
    /// `countersPerWorker` counters for each worker: packets, bytes, and the rest of a cache line.
    @usableFromInline let counters: CounterBlock

    @inlinable static var countersPerWorker: Int { 8 }

    init(_ policy: SecurityPolicy, counters: PolicyCounters) {
        selector = policy.selector
        switch policy.action {
        case .protect: action = .protect
        case .bypass: action = .bypass
        case .discard: action = .discard
        }
        let protection = policy.protection
        requestID = protection?.requestID ?? 0
        hasSource = protection?.source != nil
        hasDestination = protection?.destination != nil
        source = protection?.source ?? .unspecified(.ipv4)
        destination = protection?.destination ?? .unspecified(.ipv4)
        acquires = protection?.acquires ?? false
        alternatives = UnsafePointer(counters.alternatives.base)
        alternativeCount = counters.alternatives.count
        self.counters = counters.block
    }

    /// Whether the policy wants protection, and by an SA like this one.
    @inlinable
    func accepts(_ link: InboundLink) -> Bool {
        action == .protect && (requestID == 0 || requestID == link.requestID || isAlternative(link.requestID))
            && (!hasSource || source == link.source) && (!hasDestination || destination == link.destination)
    }

    @inlinable
    func isAlternative(_ requestID: UInt32) -> Bool {
        var index = 0
        while index < alternativeCount {
            if alternatives[index] == requestID { return true }
            index &+= 1
        }
        return false
    }
}

/// Packets and bytes that one policy decided about. They live as long as the policy is configured, over any number of
/// snapshots. Each worker has a cache line of its own.
final class PolicyCounters: Sendable {
    let policy: SecurityPolicy
    let block: CounterBlock
    /// Of the policy, as workers read them.
    let alternatives: HotArray<UInt32>
    private let workers: Int

    init(policy: SecurityPolicy, workers: Int) {
        self.policy = policy
        self.workers = workers
        alternatives = HotArray(policy.protection?.alternatives ?? [])
        block = .allocate(count: workers * PolicyRecord.countersPerWorker)
    }

    deinit { block.deallocate() }

    var packets: UInt64 { (0..<workers).reduce(0) { $0 &+ block[$1 * PolicyRecord.countersPerWorker].load() } }
    var bytes: UInt64 { (0..<workers).reduce(0) { $0 &+ block[$1 * PolicyRecord.countersPerWorker + 1].load() } }
}
