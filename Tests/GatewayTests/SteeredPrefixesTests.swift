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
        let prefixes = SteeredPrefixes.of([
            try policy("10.2.0.0/16", .out, protect), try policy("10.3.0.0/16", .out, .discard),
            try policy("10.4.0.0/16", .out, .bypass), try policy("10.5.0.0/16", .forward, protect),
            try policy("10.2.0.0/16", .out, protect),
        ])
        #expect(Set(prefixes.map(\.description)) == ["10.2.0.0/16", "10.3.0.0/16"])
    }
}
