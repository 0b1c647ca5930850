import IPsec
import Packets

/// One entry of the security policy database (RFC 4301 section 4.4.1.2).
public struct SecurityPolicy: Hashable, Sendable {
    /// The packets that the policy is asked about. The values are those of `ip xfrm policy`.
    public enum Direction: String, Hashable, Sendable, CaseIterable {
        /// Packets from the protected side to the tunnel.
        case out
        /// Decrypted and for the gateway's host.
        case `in`
        /// Decrypted and for a host behind the gateway.
        case forward = "fwd"
    }

    /// The SAs that serve a policy: what Linux calls a template.
    public struct Protection: Hashable, Sendable {
        /// SAs with this request id; 0 accepts every one.
        public var requestID: UInt32
        /// Request ids whose SAs serve as well, where several tunnels lead to one network. An outbound packet takes an SA
        /// of `requestID` if there is one, else one of the first of these that has one.
        public var alternatives: [UInt32]
        /// Whether a packet without an SA asks for one.
        public var acquires: Bool
        /// The outer addresses of the SA; nil accepts every one.
        public var source: IPAddress?
        public var destination: IPAddress?

        public init(
            requestID: UInt32, alternatives: [UInt32] = [], acquires: Bool = true, source: IPAddress? = nil,
            destination: IPAddress? = nil
        ) {
            self.requestID = requestID
            self.alternatives = alternatives
            self.acquires = acquires
            self.source = source
            self.destination = destination
        }

        /// All request ids, the preferred one first.
        public var requestIDs: [UInt32] { [requestID] + alternatives }

        /// Whether an SA with these properties serves the policy.
        public func accepts(requestID: UInt32, source: IPAddress, destination: IPAddress) -> Bool {
            (self.requestID == 0 || self.requestID == requestID || alternatives.contains(requestID))
                && (self.source ?? source) == source && (self.destination ?? destination) == destination
        }
    }

    public enum Action: Hashable, Sendable {
        case protect(Protection)
        case bypass
        case discard
    }

    /// The packets, as they travel: the inner source is first for every direction.
    public var selector: TrafficSelector
    public var direction: Direction
    public var action: Action
    /// Lower goes first. Among equals those that are `isNarrowed`, then the longer prefixes go first, then the order of
    /// the configuration.
    public var priority: UInt32
    /// The selector is a part of a configured one, as a peer has agreed to it. It goes before what was configured with
    /// its priority, and before nothing else, however narrow the peer made it.
    public var isNarrowed: Bool
    /// The configuration's own number for the policy, shown in status; 0 when it has none.
    public var index: UInt32
    public var name: String

    public init(
        selector: TrafficSelector, direction: Direction, action: Action, priority: UInt32 = 0,
        isNarrowed: Bool = false, index: UInt32 = 0, name: String = ""
    ) {
        self.selector = selector
        self.direction = direction
        self.action = action
        self.priority = priority
        self.isNarrowed = isNarrowed
        self.index = index
        self.name = name
    }

    var protection: Protection? {
        guard case .protect(let protection) = action else { return nil }
        return protection
    }
}

extension SecurityPolicy: CustomStringConvertible {
    /// "out 10.1.0.0/16 -> 10.2.0.0/16 protect reqid 1 192.0.2.1 -> 192.0.2.2".
    public var description: String { "\(direction.rawValue) \(selector) \(action)" }
}

extension SecurityPolicy.Action: CustomStringConvertible {
    public var description: String {
        switch self {
        case .bypass: return "bypass"
        case .discard: return "discard"
        case .protect(let protection):
            let source = protection.source.map(\.description) ?? "any"
            let destination = protection.destination.map(\.description) ?? "any"
            let ids = protection.requestIDs.map(String.init).joined(separator: ",")
            return "protect reqid \(ids) \(source) -> \(destination)"
        }
    }
}

/// The order of policies: lower priorities first, among equals those that peers have narrowed, then longer prefixes, then
/// the order in which they came.
enum Precedence {
    /// The number of policies that can be told apart by the order in which they came.
    static let numbers: UInt64 = 1 << 22
    /// The longest length of source and destination together, IPv6.
    private static let longest = 256

    /// Lower goes first. Never `UInt64.max`.
    ///
    /// - Parameter number: the policy's place in the order in which they came, below `numbers`.
    static func word(_ policy: SecurityPolicy, number: UInt64) -> UInt64 {
        let length = policy.selector.source.commonPrefix.length + policy.selector.destination.commonPrefix.length
        return UInt64(policy.priority) << 32 | (policy.isNarrowed ? 0 : 1 << 31) | UInt64(longest - length) << 22
            | number
    }
}

/// A policy of the database: its counters, and where it stands among others.
struct StoredPolicy {
    let counters: PolicyCounters
    var precedence: UInt64

    var policy: SecurityPolicy { counters.policy }
}

/// Why something cannot become part of a snapshot.
public enum PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Two inbound SAs have this SPI.
    case duplicateSPI(SPI)
    /// The endpoints of a template differ in address family.
    case mixedFamilies(policy: String)
    /// The SA's owner is not one of the workers.
    case ownerOutOfRange(spi: SPI, owner: Int, workers: Int)

    public var description: String {
        switch self {
        case .duplicateSPI(let spi):
            "two inbound SAs have the SPI \(spi); give each its own"
        case .mixedFamilies(let policy):
            "the template of policy \(policy) has endpoints of two address families; use one"
        case .ownerOutOfRange(let spi, let owner, let workers):
            "the SA with SPI \(spi) belongs to worker \(owner), but there are \(workers) workers"
        }
    }
}
