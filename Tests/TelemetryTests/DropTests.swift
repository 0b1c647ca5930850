import Testing

@testable import Telemetry

@Suite("Drop reasons, verdicts and counters")
struct DropTests {
    @Test("The table has exactly one row per case, in the order of the raw values")
    func tableIsComplete() {
        #expect(DropReason.definitions.map(\.reason) == DropReason.allCases)
        #expect(DropReason.allCases.map { Int($0.rawValue) } == Array(0..<DropReason.count))
        #expect(DropReason.count < 255, "a verdict is one byte and keeps one value for a pass")
    }

    @Test("Names are kebab-case and unique, and lead back to the reason", arguments: DropReason.allCases)
    func names(reason: DropReason) {
        let plain = reason.name.allSatisfy { ("a"..."z").contains($0) || ("0"..."9").contains($0) || $0 == "-" }
        #expect(plain && !reason.name.isEmpty && !reason.name.hasPrefix("-") && !reason.name.hasSuffix("-"))
        #expect(DropReason(name: reason.name) == reason)
        #expect(DropReason.allCases.filter { $0.name == reason.name }.count == 1)
        #expect(reason.meaning.hasSuffix(".") && reason.remedy.hasSuffix("."))
        #expect(reason.explanation == "\(reason.meaning) \(reason.remedy)")
    }

    /// Dashboards rely on these names; a change here is a change for users.
    @Test(
        "Published names stay",
        arguments: [
            (DropReason.unknownSPI, "unknown-spi"), (.replayDuplicate, "replay-duplicate"),
            (.replayAtCommit, "replay-at-commit"), (.integrityFailure, "integrity-failure"),
            (.noOutboundSA, "no-outbound-sa"), (.tooBigSentICMP, "too-big-sent-icmp"),
            (.notEncryptedByPolicy, "not-encrypted-by-policy"), (.malformedIPv6, "malformed-ipv6"),
        ])
    func publishedNames(reason: DropReason, name: String) {
        #expect(reason.name == name)
    }

    @Test("An unknown name is no reason")
    func unknownName() { #expect(DropReason(name: "bad-luck") == nil) }

    @Test("A verdict keeps its reason", arguments: DropReason.allCases)
    func verdictKeepsReason(reason: DropReason) {
        let verdict = Verdict(drop: reason)
        #expect(!verdict.isPass)
        #expect(verdict.reason == reason)
        #expect(verdict == .drop(reason))
        #expect(verdict.rawValue == reason.rawValue + 1)
        #expect(verdict.description == reason.name)
    }

    @Test("A pass is zero and has no reason")
    func pass() {
        #expect(Verdict.pass.rawValue == 0 && Verdict.pass.isPass && Verdict.pass.reason == nil)
        #expect(Verdict.pass.description == "pass")
        #expect(MemoryLayout<Verdict>.size == 1)
    }

    @Test("Each reason has its own counter", arguments: DropReason.allCases)
    func countersAreSeparate(reason: DropReason) {
        let counters = DropCounters.allocate()
        defer { counters.deallocate() }
        counters.count(reason, packets: 3)
        counters.count(Verdict(drop: reason))
        counters.count(.pass)
        #expect(counters[reason] == 4)
        #expect(counters.total == 4)
        #expect(counters.nonZero().map(\.reason) == [reason])
    }

    @Test("Counters start at zero, add, wrap and take a value")
    func counter() {
        let block = CounterBlock.allocate(count: 9)
        defer { block.deallocate() }
        #expect(block.loadAll() == [UInt64](repeating: 0, count: 9))
        block[8].set(.max)
        block[8].add(2)
        block[7].add()
        #expect(block.loadAll() == [0, 0, 0, 0, 0, 0, 0, 1, 1])
    }
}
