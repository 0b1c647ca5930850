public import Packets

/// A rule for packets between two networks, by protocol and ports: one line of the steering program's tables.
///
/// A rule may be about more packets than the policy behind it: the worker decides about those that come to it.
public struct SteeringRule: Hashable, Sendable {
    /// The fate of packets. Of rules with equal precedence the lower number decides; `enum sluice_action` has the same.
    public enum Action: UInt8, Hashable, Sendable {
        /// Packets go to the gateway, and those that come the other way from a WAN port in clear are dropped.
        case protect = 0
        /// Packets go to the gateway, which drops them.
        case discard = 1
        /// Packets go to the host, as if there were no gateway.
        case pass = 2
    }

    /// Both of one family.
    public var source, destination: IPPrefix
    public var upper: UpperSelector
    public var action: Action
    /// The rank of the rule: of several for a packet the one with the lowest number decides. Below 2^62.
    public var precedence: UInt64
    /// The narrowness of the policy's destination, in bits: a network behind a LAN port that is narrower is none of its
    /// business. More than the length of `destination` when that holds more than the policy names.
    public var narrowness: Int

    public init(
        from source: IPPrefix, to destination: IPPrefix, upper: UpperSelector = .any, _ action: Action,
        precedence: UInt64, narrowness: Int? = nil
    ) {
        precondition(source.address.family == destination.address.family, "a rule is of one address family")
        self.source = source
        self.destination = destination
        self.upper = upper
        self.action = action
        self.precedence = precedence
        self.narrowness = narrowness ?? destination.length
    }

    var family: AddressFamily { destination.address.family }
}
