import IPsec
import Netlink
import Packets
import Policy

@testable import Gateway

/// What the policy database and the kernel guard say of a packet, to compare the steering program with.
struct AgreementDatabase {
    let snapshot: Snapshot
    let policies: [SecurityPolicy]
    private let outbound: BoundaryTables
    private let inbound: BoundaryTables

    init(snapshot: Snapshot, policies: [SecurityPolicy]) {
        self.snapshot = snapshot
        self.policies = policies
        let list = CoveredList(CoveredTraffic.list(policies)).traffic
        outbound = BoundaryTables(list)
        inbound = BoundaryTables(
            list.map { covered in
                var covered = covered
                covered.selector = covered.selector.reversed
                return covered
            })
    }

    // MARK: The database

    /// What it decides, for everything that the packet may turn out to be.
    func possible(_ packet: AgreementPacket) -> [PolicyAction] {
        guard !packet.isKnown else { return [decide(packet.source, packet.destination, packet.number, packet.words)] }
        // Of IPv6 even the protocol may be another one.
        let numbers: [UInt8] = packet.family == .ipv4 ? [packet.number] : [6, 17, 58, 47]
        return numbers.flatMap { number in
            Self.words(number).map { decide(packet.source, packet.destination, number, $0) }
        }
    }

    /// What it decides about an answer to the packet.
    func reversed(_ packet: AgreementPacket) -> PolicyAction {
        decide(
            packet.destination, packet.source, packet.number,
            packet.isICMP ? packet.words : (packet.words.1, packet.words.0))
    }

    private func decide(
        _ source: IPAddress, _ destination: IPAddress, _ number: UInt8, _ words: (UInt16, UInt16)
    ) -> PolicyAction {
        let summary = PacketSummary(
            source: source, destination: destination, upperProtocol: number, sourcePort: words.0,
            destinationPort: words.1)
        return snapshot.tables.pointee.outbound(summary, worker: 0).action
    }

    private static func words(_ number: UInt8) -> [(UInt16, UInt16)] {
        if number == 47 { return [(0, 0)] }
        if number == 1 || number == 58 { return [0x0800, 0x8000, 0x0301, 0x0000].map { ($0, 0) } }
        let ports: [UInt16] = [22, 80, 1023, 1024, 5000]
        return ports.flatMap { source in ports.map { (source, $0) } }
    }

    /// Whether some policy protects or discards packets between the addresses: the reason to be stricter than the database.
    func closes(_ packet: AgreementPacket, isReversed: Bool) -> Bool {
        policies.contains { policy in
            let selector = isReversed ? policy.selector.reversed : policy.selector
            return policy.action != .bypass && selector.source.contains(packet.source)
                && selector.destination.contains(packet.destination)
        }
    }

    // MARK: The guard

    /// Whether its rules hold the packet back, as the kernel walks them.
    func guardCloses(_ packet: AgreementPacket, isReversed: Bool) -> Bool {
        let tables = isReversed ? inbound : outbound
        let key = tables.looksUpSource ? packet.source : packet.destination
        guard let interval = tables.intervals.first(where: { $0.range.contains(key) }) else { return false }
        for rule in tables.chains[interval.chain] {
            for expressions in rule.expressions(closed: "closed", holdsErrors: !isReversed) {
                if let verdict = Self.walk(expressions, packet) { return verdict }
            }
        }
        return false
    }

    /// Nil: the rule does not match.
    private static func walk(_ expressions: [NetfilterExpression], _ packet: AgreementPacket) -> Bool? {
        for expression in expressions {
            switch expression {
            case .upperProtocol(let number): guard packet.number == number else { return nil }
            case .source(let first, let last): guard (first...last).contains(packet.source) else { return nil }
            case .destination(let first, let last):
                guard (first...last).contains(packet.destination) else { return nil }
            case .upperWord(let offset, let range):
                let word = offset == 0 ? packet.words.0 : packet.words.1
                guard !packet.isLaterFragment, range.contains(word) else { return nil }
            case .laterFragment: guard packet.isLaterFragment else { return nil }
            case .goto: return true
            case .accept: return false
            default: return nil
            }
        }
        return nil
    }
}

extension PolicyAction {
    var isTaken: Bool { self == .protect || self == .discard }
}
