/// The order of policies: lower priorities first, among equals those that peers have narrowed, then longer prefixes, then
/// the order in which they came.
enum Precedence {
    /// How many policies can be told apart by the order in which they came.
    static let numbers: UInt64 = 1 << 22
    /// Of source and destination together, IPv6.
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
