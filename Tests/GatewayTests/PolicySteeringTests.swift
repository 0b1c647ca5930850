import IPsec
import Packets
import Policy
import Testing
import XDP

@testable import Gateway

/// What the steering program is told of policies.
@Suite struct PolicySteeringTests {
    private func range(_ text: String) throws -> AddressRange {
        let ends = text.split(separator: "-").map(String.init)
        if ends.count == 1 { return AddressRange(try #require(IPPrefix(ends[0]))) }
        let first = try #require(IPAddress(ends[0]))
        let last = try #require(IPAddress(ends[1]))
        return try #require(AddressRange(first: first, last: last))
    }

    private func policy(
        _ source: String, _ destination: String, _ action: SecurityPolicy.Action = .protect(.init(requestID: 1)),
        _ direction: SecurityPolicy.Direction = .out, priority: UInt32 = 0, protocol number: UInt8? = nil
    ) throws -> SecurityPolicy {
        SecurityPolicy(
            selector: TrafficSelector(
                source: try range(source), destination: try range(destination), protocol: number),
            direction: direction, action: action, priority: priority)
    }

    private func text(_ policy: SecurityPolicy) -> [String] {
        PolicySteering.rules(policy).map { "\($0.source) \($0.destination) \($0.action)" }
    }

    @Test func sourceAndDestinationAndAction() throws {
        #expect(text(try policy("10.1.0.0/16", "0.0.0.0/0")) == ["10.1.0.0/16 0.0.0.0/0 protect"])
        #expect(text(try policy("10.1.0.0/16", "10.3.0.0/16", .discard)) == ["10.1.0.0/16 10.3.0.0/16 discard"])
        #expect(text(try policy("10.1.0.0/16", "10.4.0.0/16", .bypass)) == ["10.1.0.0/16 10.4.0.0/16 pass"])
        #expect(text(try policy("10.1.0.0/16", "10.4.0.0/16", .bypass, .in)) == [])
        #expect(text(try policy("2001:db8:1::/48", "::/0")) == ["2001:db8:1::/48 ::/0 protect"])
    }

    /// Protocol and ports go along, for what passes too.
    @Test func protocolsAndPorts() throws {
        for action in [SecurityPolicy.Action.bypass, .protect(.init(requestID: 1)), .discard] {
            var policy = try policy("10.1.0.0/16", "10.4.0.0/16", action, protocol: 6)
            policy.selector = TrafficSelector(
                source: policy.selector.source, destination: policy.selector.destination, protocol: 6,
                destinationPorts: 80...81)
            let upper = UpperSelector(protocol: 6, destinationPorts: 80...81)
            #expect(PolicySteering.rules(policy).map(\.upper) == [upper])
        }
        #expect(PolicySteering.rules(try policy("10.1.0.0/16", "10.4.0.0/16")).map(\.upper.isAny) == [true])
    }

    /// No range becomes many rules, and whatever it becomes holds all of it.
    @Test(arguments: [
        ("10.0.0.1-10.255.255.254", "10.2.0.0/16"), ("10.1.0.0/16", "172.16.0.1-172.31.255.254"),
        ("10.0.0.1-10.0.0.6", "10.2.0.1-10.2.0.6"), ("10.0.0.0-10.0.0.2", "10.2.0.0-10.2.0.2"),
        ("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "2001:db8::1-2001:db8::ffff:fffe"),
    ])
    func rangesAreBounded(source: String, destination: String) throws {
        let policy = try policy(source, destination)
        let rules = PolicySteering.rules(policy)
        #expect((1...PolicySteering.rulesPerPolicy).contains(rules.count))
        for (whole, parts) in [
            (policy.selector.source, rules.map(\.source)), (policy.selector.destination, rules.map(\.destination)),
        ] {
            for address in [whole.first, whole.last] { #expect(parts.contains { $0.contains(address) }) }
        }
        // As narrow as the policy, or said to be as narrow as can be.
        for rule in rules {
            #expect(rule.narrowness == rule.destination.length || rule.narrowness == rule.destination.address.bitWidth)
        }
        let bypass = try self.policy(source, destination, .bypass)
        for rule in PolicySteering.rules(bypass) {
            #expect(policy.selector.source.contains(AddressRange(rule.source)))
            #expect(policy.selector.destination.contains(AddressRange(rule.destination)))
        }
    }

    /// As in the policy database: priority, then length. Of equals the action decides.
    @Test func orderOfPolicies() throws {
        let ordered = [
            try policy("10.1.0.0/16", "10.2.0.0/16", .bypass, priority: 1),
            try policy("10.1.1.0/24", "10.2.1.0/24", priority: 2),
            try policy("10.1.0.0/16", "10.2.0.0/16", priority: 2),
            try policy("10.1.0.0/16", "10.2.0.0/16", .bypass, priority: 2),
        ].flatMap(PolicySteering.rules).map(\.precedence)
        #expect(ordered.count == 4 && ordered == ordered.sorted() && Set(ordered).count == 3)
        var narrowed = try policy("10.1.0.0/16", "10.2.0.0/16", priority: 2)
        narrowed.isNarrowed = true
        let words = try [narrowed, policy("10.1.1.0/24", "10.2.1.0/24", priority: 2)].flatMap(PolicySteering.rules)
        #expect(words[0].precedence < words[1].precedence, "what a peer has narrowed goes first, as in the database")
    }
}
