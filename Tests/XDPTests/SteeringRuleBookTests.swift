import Packets
import Testing

@testable import XDP

/// Which entries rules make, and how often.
@Suite struct SteeringRuleBookTests {
    @Test func entriesAreSharedAndCounted() throws {
        var book = SteeringRuleBook()
        let protect = try SteeringRule(from: "10.1.0.0/16", to: "10.2.0.0/16", .protect, precedence: 20)
        let pass = try SteeringRule(from: "10.1.0.0/16", to: "10.2.0.0/16", .pass, precedence: 10)
        let added = book.add(protect)
        let place = try #require(added)
        let again = book.add(protect)
        #expect(again == nil)
        #expect(book.content(place)?.only == .init(precedence: 20, action: .protect, narrowness: 16))
        let beside = book.add(pass)
        #expect(beside == place)
        #expect(book.content(place)?.only == .init(precedence: 10, action: .pass, narrowness: 16))
        #expect(book.count(.ipv4) == 1 && book.count(.ipv6) == 0)
        let without = book.remove(pass)
        #expect(without == place)
        #expect(book.content(place)?.only?.action == .protect)
        let removals = [book.remove(protect), book.remove(protect), book.remove(protect)]
        #expect(removals == [nil, place, nil])
        #expect(book.content(place) == nil && book.count(.ipv4) == 0 && book.tuples(.ipv4).count == 0)
    }

    /// A policy for a range within its prefix is narrower than it looks: from LAN to LAN it still counts behind a wider one.
    @Test func narrowerThanItLooks() throws {
        var book = SteeringRuleBook()
        let pass = try SteeringRule(from: "10.1.0.0/16", to: "10.2.0.0/16", .pass, precedence: 10)
        let range = try SteeringRule(from: "10.1.0.0/16", to: "10.2.0.0/16", .protect, precedence: 20, narrowness: 30)
        let added = book.add(pass)
        let place = try #require(added)
        _ = book.add(range)
        #expect(
            book.content(place)?.list == [
                .init(precedence: 10, action: .pass, narrowness: 16),
                .init(precedence: 20, action: .protect, narrowness: 30),
            ])
    }

    /// Any number of pairs of lengths: those that are protected are all covered, and none passes that was not meant to.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func lengthsAreRoundedDown(family: AddressFamily) throws {
        var book = SteeringRuleBook()
        let width = family == .ipv4 ? 32 : 128
        let address =
            family == .ipv4 ? IPAddress(ipv4: 0x0a01_0203) : IPAddress(ipv6High: 0x2001_0db8_0102_0304, low: 5)
        var rules: [SteeringRule] = []
        for source in stride(from: 0, through: width, by: 3) {
            for destination in stride(from: 1, through: width, by: 5) {
                let action = [SteeringRule.Action.protect, .pass, .discard][(source + destination) % 3]
                rules.append(
                    SteeringRule(
                        from: IPPrefix(address: address, length: source),
                        to: IPPrefix(address: address, length: destination), action, precedence: 1))
            }
        }
        var places: [SteeringRule: SteeringRuleBook.Place] = [:]
        for rule in rules.shuffled() { places[rule] = book.add(rule) }
        for rule in rules {
            guard let place = places[rule] else {
                #expect(rule.action == .pass)
                continue
            }
            let lengths = try #require(book.tuples(family).lengths(place.tuple))
            #expect(lengths.source <= rule.source.length && lengths.destination <= rule.destination.length)
            #expect(place.source.length == lengths.source && place.destination.length == lengths.destination)
            if rule.action == .pass { #expect(place.source == rule.source && place.destination == rule.destination) }
        }
        #expect(book.tuples(family).count <= SteeringTuples.capacity)
        for rule in rules { _ = book.remove(rule) }
        #expect(book.tuples(family).count == 0 && book.count(family) == 0)
    }
}
