import Configuration
import Packets
import Policy
import Testing

/// A bad line costs the line; what a bad policy covers is dropped.
@Suite struct XfrmIsolationTests {
    private func read(_ lines: String...) throws -> ManualConfiguration {
        try XfrmBatch.parse(lines.joined(separator: "\n"), file: "lab.xfrm")
    }

    private let good = [
        "\(statePrefix) \(gcm)",
        "\(policyPrefix) tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel",
    ]

    private func policies(_ line: String) throws -> [String] {
        try read(good[0], good[1], line).policies.dropFirst().map(\.description)
    }

    @Test func theOtherLinesAreServed() throws {
        let configuration = try read(
            good[0], "\(statePrefix.replacing("0x1000", with: "0x1001")) mode transport \(gcm)", good[1], "nonsense")
        #expect(configuration.states.count == 1 && configuration.policies.count == 1)
        #expect(configuration.errors.map(\.location.line) == [2, 4])
        #expect(throws: ConfigurationErrors.self) { try configuration.checked() }
    }

    @Test(arguments: [
        ("dir out tmpl proto esp mode transport", "out"), ("dir fwd tmpl proto ah mode tunnel", "fwd"),
        ("dir in priority 5 nonsense 1 tmpl proto esp mode tunnel", "in"),
        ("dir sideways tmpl proto esp mode tunnel", "out"),
        ("nonsense dir in tmpl proto esp mode tunnel", "in"), ("dir out mark 3 tmpl proto esp mode tunnel", "out"),
    ])
    func aPolicyWithAnErrorDrops(_ rest: String, _ direction: String) throws {
        let configuration = try read(good[0], "xfrm policy add src 10.7.0.0/16 dst 10.8.0.0/16 \(rest)")
        let policy = try #require(configuration.policies.first)
        #expect(policy.action == .discard && policy.direction.rawValue == direction)
        #expect(policy.selector.description == "10.7.0.0/16 -> 10.8.0.0/16")
        #expect(configuration.policies.count == 1 && !configuration.errors.isEmpty)
    }

    @Test func aSideThatCannotBeReadIsEveryAddress() throws {
        let half = try read("xfrm policy add src 10.7.0.0/99 dst 10.8.0.0/16 dir out tmpl proto esp mode tunnel")
        #expect(half.policies.map(\.selector.description) == ["0.0.0.0/0 -> 10.8.0.0/16"])
        let none = try read("xfrm policy add src 10.7.0.0/99 dst 0.0.0.0/0 dir out tmpl proto esp mode tunnel")
        #expect(none.policies.isEmpty && none.errors.count == 1)
        let routed = try read("xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 3 tmpl proto esp mode tunnel")
        #expect(routed.policies.isEmpty && routed.errors.count == 1)
    }

    /// Packets that would have gone in clear are not dropped for a fault.
    @Test func aPolicyThatProtectsNothingIsLeftOut() throws {
        #expect(try read("\(policyPrefix) nonsense").policies.isEmpty)
        #expect(try read("\(policyPrefix) action block nonsense").policies.map(\.action) == [.discard])
    }

    /// One key in two states would break the cipher: the second one is not set up.
    @Test func aKeyThatComesTwiceIsUsedOnce() throws {
        let second = statePrefix.replacing("0x1000", with: "0x2000")
        let configuration = try read("\(statePrefix) \(gcm)", "\(second) \(gcm)", good[1])
        #expect(configuration.states.map(\.spi) == [0x1000] && configuration.errors.map(\.location.line) == [2])
    }

    @Test func aTemplateThatLeadsElsewhereDrops() throws {
        let policy = "\(policyPrefix) tmpl src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x9999 reqid 1 mode tunnel"
        let configuration = try read(good[0], policy)
        #expect(configuration.policies.map(\.action) == [.discard] && configuration.errors.count == 1)
    }
}
