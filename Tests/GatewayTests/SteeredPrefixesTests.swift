import IPsec
import Packets
import Policy
import Testing

@testable import Gateway

@Suite struct SteeredPrefixesTests {
    @Test func takesWhatIsProtectedOrDiscarded() throws {
        func policy(
            _ destination: String, _ direction: SecurityPolicy.Direction, _ action: SecurityPolicy.Action
        ) throws -> SecurityPolicy {
            SecurityPolicy(
                selector: TrafficSelector(
                    source: try #require(IPPrefix("10.1.0.0/16")), destination: try #require(IPPrefix(destination))),
                direction: direction, action: action)
        }
        let protect = SecurityPolicy.Action.protect(.init(requestID: 1))
        var prefixes = SteeredPrefixes()
        let policies = [
            try policy("10.2.0.0/16", .out, protect), try policy("10.3.0.0/16", .out, .discard),
            try policy("10.4.0.0/16", .out, .bypass), try policy("10.5.0.0/16", .forward, protect),
            try policy("10.2.0.0/16", .out, protect),
        ]
        let first = prefixes.apply(PolicyChange(added: policies))
        #expect(first.new.map(\.description) == ["10.2.0.0/16", "10.3.0.0/16"] && first.gone.isEmpty)
        #expect(Set(prefixes.all.map(\.description)) == ["10.2.0.0/16", "10.3.0.0/16"])

        // One of two policies for the same prefix goes; another one comes in the place of the only one.
        let second = prefixes.apply(
            PolicyChange(added: [try policy("10.3.0.0/16", .out, protect)], removed: [policies[0], policies[1]]))
        #expect(second.new.isEmpty && second.gone.isEmpty)
        let third = prefixes.apply(PolicyChange(removed: [policies[4], policies[2], policies[3]]))
        #expect(third.gone.map(\.description) == ["10.2.0.0/16"])
        #expect(prefixes.all.map(\.description) == ["10.3.0.0/16"])
    }
}
