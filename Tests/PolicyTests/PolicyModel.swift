import IPsec
import Packets

@testable import Policy

/// The security policy database as one would write it first: a list, and a loop.
struct PolicyModel {
    let policies: [SecurityPolicy]

    /// What the first policy says, or nil when there is none.
    enum Answer: Equatable {
        case policy(SecurityPolicy)
        case ambiguous
        case nothing
    }

    func answer(_ direction: SecurityPolicy.Direction, _ flow: PacketSummary) -> Answer {
        var best: (policy: SecurityPolicy, length: Int)?
        for policy in policies where policy.direction == direction && couldMatch(policy.selector, flow) {
            let length = sharedBits(policy.selector.source) + sharedBits(policy.selector.destination)
            if let current = best {
                let isBetter =
                    policy.priority != current.policy.priority
                    ? policy.priority < current.policy.priority : length > current.length
                if !isBetter { continue }
            }
            best = (policy, length)
        }
        guard let best else { return .nothing }
        let hasPorts =
            best.policy.selector.sourcePorts != 0...65535 || best.policy.selector.destinationPorts != 0...65535
        return flow.isLaterFragment && hasPorts ? .ambiguous : .policy(best.policy)
    }

    private func couldMatch(_ selector: TrafficSelector, _ flow: PacketSummary) -> Bool {
        guard within(flow.source, selector.source), within(flow.destination, selector.destination) else { return false }
        if let number = selector.protocol, number != flow.upperProtocol { return false }
        return flow.isLaterFragment
            || selector.sourcePorts.contains(flow.sourcePort)
                && selector.destinationPorts.contains(flow.destinationPort)
    }

    private func within(_ address: IPAddress, _ range: AddressRange) -> Bool {
        address.family == range.first.family && number(range.first) <= number(address)
            && number(address) <= number(range.last)
    }

    private func number(_ address: IPAddress) -> UInt128 { UInt128(address.high) << 64 | UInt128(address.low) }

    /// How many leading bits all addresses of the range share.
    private func sharedBits(_ range: AddressRange) -> Int {
        let width = range.first.bitWidth
        var count = 0
        while count < width {
            let shift = width - 1 - count
            if (number(range.first) >> shift) & 1 != (number(range.last) >> shift) & 1 { break }
            count += 1
        }
        return count
    }
}

/// Random policies and flows over so few addresses that they meet often.
struct PolicyUniverse {
    var random: SeededGenerator

    init(seed: Int) { random = SeededGenerator(seed: seed) }

    mutating func address(_ family: AddressFamily) -> IPAddress {
        switch family {
        case .ipv4: return IPAddress(ipv4: 0x0A00_0000 | UInt32.random(in: 0...0x3FF, using: &random))
        case .ipv6:
            // Both halves vary, so that prefixes end in either.
            return IPAddress(
                ipv6High: 0x2001_0DB8_0000_0000 | UInt64.random(in: 0...3, using: &random),
                low: UInt64.random(in: 0...3, using: &random) << 62 | UInt64.random(in: 0...15, using: &random))
        }
    }

    mutating func range(_ family: AddressFamily) -> AddressRange {
        if random.chance(70) {
            let lengths: [Int] = family == .ipv4 ? [0, 8, 22, 24, 28, 30, 32] : [0, 32, 62, 64, 65, 66, 124, 128]
            return AddressRange(IPPrefix(address: address(family), length: lengths.randomElement(using: &random) ?? 0))
        }
        let ends = [address(family), address(family)].sorted()
        return AddressRange(first: ends[0], last: ends[1]) ?? AddressRange(ends[0])
    }

    mutating func ports() -> ClosedRange<UInt16> {
        if random.chance(60) { return 0...65535 }
        if random.chance(50) {
            let port = UInt16.random(in: 0...7, using: &random)
            return port...port
        }
        let ends = [UInt16.random(in: 0...7, using: &random), UInt16.random(in: 0...7, using: &random)].sorted()
        return ends[0]...ends[1]
    }

    mutating func policy() -> SecurityPolicy {
        let family: AddressFamily = random.chance(50) ? .ipv4 : .ipv6
        let number = random.chance(50) ? nil : [IPProtocol.tcp, IPProtocol.udp].randomElement(using: &random)
        let selector = TrafficSelector(
            source: range(family), destination: range(family), protocol: number, sourcePorts: ports(),
            destinationPorts: ports())
        return SecurityPolicy(
            selector: selector, direction: SecurityPolicy.Direction.allCases.randomElement(using: &random) ?? .out,
            action: random.chance(50) ? .bypass : .discard, priority: UInt32.random(in: 0...3, using: &random),
            name: "policy \(self.serial())")
    }

    private var next = 0
    private mutating func serial() -> Int {
        next += 1
        return next
    }

    mutating func flow() throws -> PacketSummary {
        let family: AddressFamily = random.chance(50) ? .ipv4 : .ipv6
        let number = [IPProtocol.tcp, IPProtocol.udp, IPProtocol.icmp].randomElement(using: &random) ?? IPProtocol.tcp
        if random.chance(20) {
            return try Fixture.laterFragment(source: address(family), destination: address(family), protocol: number)
        }
        return PacketSummary(
            source: address(family), destination: address(family), upperProtocol: number,
            sourcePort: UInt16.random(in: 0...8, using: &random),
            destinationPort: UInt16.random(in: 0...8, using: &random))
    }
}
