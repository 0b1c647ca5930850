import IPsec
import Packets
import Policy
import Testing

@testable import Gateway

@Suite struct SteeredPrefixesTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func range(_ first: String, _ last: String) throws -> AddressRange {
        try #require(AddressRange(first: address(first), last: address(last)))
    }

    @Test(arguments: [
        ("10.0.0.0", "10.255.255.255", ["10.0.0.0/8"]),
        ("10.0.0.1", "10.0.0.1", ["10.0.0.1/32"]),
        ("10.0.0.1", "10.0.0.6", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]),
        ("0.0.0.0", "255.255.255.255", ["0.0.0.0/0"]),
        ("255.255.255.254", "255.255.255.255", ["255.255.255.254/31"]),
        ("255.255.255.253", "255.255.255.255", ["255.255.255.253/32", "255.255.255.254/31"]),
        ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["::/0"]),
        (
            "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::",
            ["2001:db8::ffff:ffff:ffff:ffff/128", "2001:db8:0:1::/128"]
        ),
    ])
    func coversExactly(_ sample: (String, String, [String])) throws {
        #expect(SteeredPrefixes.cover(try range(sample.0, sample.1)).map(\.description) == sample.2)
    }

    /// Every range of a small space: the prefixes hold its addresses once each, and no other.
    @Test func coversEveryRangeOfFiveBits() {
        for first in UInt32(0)..<32 {
            for last in first..<32 {
                let base: UInt32 = 0x0A00_0000
                guard
                    let range = AddressRange(
                        first: IPAddress(ipv4: base + first), last: IPAddress(ipv4: base + last))
                else { continue }
                let prefixes = SteeredPrefixes.cover(range)
                for offset in UInt32(0)..<32 {
                    let holding = prefixes.count { $0.contains(IPAddress(ipv4: base + offset)) }
                    #expect(holding == (offset >= first && offset <= last ? 1 : 0))
                }
            }
        }
    }

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
