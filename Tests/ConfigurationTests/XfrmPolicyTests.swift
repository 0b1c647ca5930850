import Configuration
import IPsec
import Packets
import Policy
import Testing

/// Every word of `xfrm policy add` that is served.
@Suite struct XfrmPolicyTests {
    private func policy(_ text: String) throws -> SecurityPolicy {
        let policies = try parse(text).policies
        try #require(policies.count == 1)
        return policies[0]
    }

    @Test func wholeLine() throws {
        let policy = try policy(
            """
            xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 proto udp sport 1 dport 2 dev none dir out ptype main \\
                action allow priority 100 index 9 flag localok if_id 0 mark 0 mask 0 \\
                tmpl src 192.0.2.1 dst 192.0.2.2 proto esp spi 0 reqid 1 mode tunnel level required
            """)
        #expect(policy.direction == .out && policy.priority == 100 && policy.index == 9)
        let source = try #require(IPAddress("192.0.2.1"))
        let destination = try #require(IPAddress("192.0.2.2"))
        #expect(policy.action == .protect(.init(requestID: 1, source: source, destination: destination)))
        let selector = TrafficSelector(
            source: AddressRange(try #require(IPPrefix("10.1.0.0/16"))),
            destination: AddressRange(try #require(IPPrefix("10.2.0.0/16"))), protocol: 17, sourcePorts: 1...1,
            destinationPorts: 2...2)
        #expect(policy.selector == selector)
    }

    @Test(arguments: [("in", SecurityPolicy.Direction.in), ("out", .out), ("fwd", .forward)])
    func directions(word: String, direction: SecurityPolicy.Direction) throws {
        #expect(try policy("xfrm policy add dir \(word)").direction == direction)
    }

    @Test(arguments: [
        ("", SecurityPolicy.Action.bypass), ("action allow", .bypass), ("action block", .discard),
        ("tmpl proto esp mode tunnel", .protect(.init(requestID: 0))),
        ("tmpl src 0.0.0.0 dst 0.0.0.0 proto 50 reqid 3 mode tunnel", .protect(.init(requestID: 3))),
        ("action block tmpl proto esp mode tunnel", .discard),
    ])
    func actions(text: String, action: SecurityPolicy.Action) throws {
        #expect(try policy("\(policyPrefix) \(text)").action == action)
    }

    @Test func familyComesFromEitherAddress() throws {
        #expect(try policy("xfrm policy add dir out dst 2001:db8::/32").selector.source == .any(.ipv6))
        #expect(try policy("xfrm policy add src 2001:db8::/32 dst any dir out").selector.destination == .any(.ipv6))
        #expect(try policy("xfrm policy add dir out").selector == .any(.ipv4))
    }

    @Test func updateReplacesAndDirectionsDiffer() throws {
        let text = [policyPrefix, policyPrefix.replacing("out", with: "fwd")].joined(separator: "\n")
        #expect(try parse(text).policies.count == 2)
        let updated = try parse("\(policyPrefix)\n\(policyPrefix.replacing("add", with: "update")) priority 5")
        #expect(updated.policies.map(\.priority) == [5])
    }
}
