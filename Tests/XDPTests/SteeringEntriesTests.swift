import Packets
import Testing

@testable import XDP

/// Which entries rules for one pair of networks become.
@Suite struct SteeringEntriesTests {
    private static let web = UpperSelector(protocol: 6, destinationPorts: 80...80)
    private static let tcp = UpperSelector(protocol: 6)

    private func rule(
        _ precedence: UInt64, _ action: SteeringRule.Action, _ upper: UpperSelector = .any, narrowness: Int? = nil
    ) throws -> SteeringRule {
        try SteeringRule(
            from: "10.1.0.0/16", to: "10.2.0.0/16", upper: upper, action, precedence: precedence,
            narrowness: narrowness)
    }

    private func text(_ rules: [SteeringRule]) throws -> String {
        let entries = try #require(SteeringEntries(rules.shuffled()))
        return entries.list.map { "\($0.precedence) \($0.action)" }.joined(separator: ", ")
    }

    @Test func whatIsHiddenIsLeftOut() throws {
        #expect(
            try text([rule(1, .protect, Self.web), rule(2, .pass, Self.web), rule(3, .pass)]) == "1 protect, 3 pass")
        #expect(try text([rule(1, .protect, Self.tcp), rule(2, .discard, Self.web)]) == "1 protect")
        #expect(try text([rule(1, .protect, Self.web), rule(2, .protect, Self.tcp)]) == "1 protect, 2 protect")
        // A later fragment does not show the port that passes.
        #expect(try text([rule(1, .pass, Self.tcp), rule(2, .protect, Self.web)]) == "1 pass, 2 protect")
        #expect(try text([rule(1, .pass), rule(2, .protect)]) == "1 pass")
        #expect(try text([rule(1, .pass), rule(2, .protect, narrowness: 24)]) == "1 pass, 2 protect")
        #expect(try text([rule(1, .pass), rule(1, .discard), rule(1, .protect)]) == "1 protect")
        #expect(SteeringEntries([SteeringRule]()) == nil)
    }

    /// Thousands of rules in one place, where lengths were rounded down: those that say nothing more cost nothing.
    @Test func manyRulesOfOnePlace() throws {
        let rules = try (0..<20_000).map { try rule(UInt64($0), .protect, narrowness: 16 + $0 % 4) }
        #expect(try text(rules) == "0 protect, 1 protect, 2 protect, 3 protect")
    }

    @Test func whatDoesNotFitIsProtected() throws {
        let rules = try (0..<20).map { number in
            try rule(
                UInt64(number), number == 18 ? .protect : number % 3 == 0 ? .discard : .pass,
                UpperSelector(protocol: UInt8(number)), narrowness: number)
        }
        let entries = try #require(SteeringEntries(rules))
        #expect(!entries.isCut && entries.list.count == 20 && entries.limited(to: 20) == entries)
        let limited = entries.limited(to: 16)
        #expect(limited.isCut && limited.list.count == 16)
        #expect(limited.list.prefix(15) == entries.list.prefix(15))
        #expect(limited.list.last == .init(precedence: 15, action: .protect, narrowness: 18))
        #expect(entries.whole?.only == .init(precedence: 0, action: .protect, narrowness: 18))
        let passing = try #require(SteeringEntries([rule(1, .pass, Self.web)]))
        #expect(passing.whole == nil)
    }
}
