import IPsec
import Netlink
import Packets
import Testing

@testable import Gateway

/// The kernel guard decides as the list of what is covered does: the first entry that matches.
@Suite struct BoundaryTablesTests {
    /// The verdict of the tables for a packet of which the ports are not looked at.
    private func verdict(_ tables: BoundaryTables, _ source: IPAddress, _ destination: IPAddress, _ number: UInt8)
        -> BoundaryTables.Action
    {
        let key = tables.looksUpSource ? source : destination
        let other = tables.looksUpSource ? destination : source
        guard let interval = tables.intervals.first(where: { $0.range.contains(key) }) else { return .open }
        for rule in tables.chains[interval.chain] {
            let range = rule.comparesSource ? rule.selector.source : rule.selector.destination
            guard range.contains(other), rule.selector.protocol == nil || rule.selector.protocol == number else {
                continue
            }
            return rule.action
        }
        return .open
    }

    private func expected(_ list: [CoveredTraffic], _ source: IPAddress, _ destination: IPAddress, _ number: UInt8)
        -> BoundaryTables.Action
    {
        let first = list.first {
            $0.selector.source.contains(source) && $0.selector.destination.contains(destination)
                && ($0.selector.protocol == nil || $0.selector.protocol == number)
        }
        return first.map { $0.action == .bypass ? .open : .close } ?? .open
    }

    /// An address among few, those at both ends of the family's space included.
    private func address(_ family: AddressFamily, _ number: Int) -> IPAddress {
        let ends = number > 20
        switch family {
        case .ipv4: return IPAddress(ipv4: ends ? .max - UInt32(40 - number) : UInt32(number))
        case .ipv6: return IPAddress(ipv6High: ends ? .max : 0, low: ends ? .max - UInt64(40 - number) : UInt64(number))
        }
    }

    private func range(_ family: AddressFamily, _ random: inout some RandomNumberGenerator) -> AddressRange {
        if Int.random(in: 0..<6, using: &random) == 0 { return .any(family) }
        let ends = [Int.random(in: 0...40, using: &random), Int.random(in: 0...40, using: &random)].sorted()
        return AddressRange(first: address(family, ends[0]), last: address(family, ends[1])) ?? .any(family)
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func decideAsTheListDoes(_ family: AddressFamily) throws {
        var random = Xorshift(seed: 0x5eed)
        for _ in 0..<300 {
            let list = (0..<Int.random(in: 1...8, using: &random)).map { number in
                CoveredTraffic(
                    name: "\(number)",
                    selector: TrafficSelector(
                        source: range(family, &random), destination: range(family, &random),
                        protocol: [nil, nil, 6, 17].randomElement(using: &random) ?? nil),
                    action: [.protect, .bypass, .discard].randomElement(using: &random) ?? .protect, priority: 0)
            }
            let tables = BoundaryTables(list)
            for (one, next) in zip(tables.intervals, tables.intervals.dropFirst()) {
                #expect(one.range.last < next.range.first, "intervals in order, without overlaps")
            }
            for source in 0...40 {
                for destination in 0...40 {
                    let pair = (address(family, source), address(family, destination))
                    for number: UInt8 in [6, 17, 1]
                    where verdict(tables, pair.0, pair.1, number) != expected(list, pair.0, pair.1, number) {
                        Issue.record("\(pair) protocol \(number): \(list.map(\.selector)), \(tables)")
                        return
                    }
                }
            }
        }
    }

    /// A hub of many sites costs one chain, whichever side tells them apart.
    @Test(arguments: [true, false]) func manySitesShareAChain(isRemote: Bool) {
        let list = (0..<2000).map { site in
            let own = AddressRange(IPPrefix(address: IPAddress(ipv4: UInt32(site) << 8), length: 24))
            let common = AddressRange(IPPrefix(address: IPAddress(ipv4: 0xAC10_0000), length: 16))
            return CoveredTraffic(
                name: "\(site)",
                selector: TrafficSelector(
                    source: isRemote ? common : own, destination: isRemote ? own : common),
                action: .protect, priority: 0)
        }
        let tables = BoundaryTables(list)
        #expect(tables.looksUpSource == !isRemote)
        // All are neighbours, and what they ask is the same.
        #expect(tables.chains.count == 1 && tables.intervals.count == 1)
    }

    @Test func portsThatFragmentsLack() throws {
        let selector = TrafficSelector(
            source: .any(.ipv4), destination: AddressRange(IPAddress(ipv4: 1)), protocol: 6, destinationPorts: 443...443
        )
        let covered = CoveredTraffic(name: "web", selector: selector, action: .protect, priority: 0)
        let rule = try #require(BoundaryTables([covered]).chains.first?.first)
        let whole: [NetfilterExpression] = [.upperProtocol(6), .upperWord(offset: 2, 443...443), .goto("closed")]
        let later: [NetfilterExpression] = [.upperProtocol(6), .laterFragment(.ipv4), .goto("closed")]
        #expect(rule.expressions(closed: "closed", holdsErrors: false) == [whole, later])
        let errors: [[NetfilterExpression]] = [0x300...0x5ff, 0xb00...0xcff].map {
            [.upperProtocol(1), .upperWord(offset: 0, $0), .goto("closed")]
        }
        #expect(rule.expressions(closed: "closed", holdsErrors: true) == [whole, later] + errors)
    }
}

/// A generator that gives the same numbers each time.
struct Xorshift: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
