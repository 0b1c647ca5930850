import IPsec
import Netlink
import Packets
import Policy

/// Routes for the host's own packets that belong into tunnels: routes that lead them to the slow path's TUN device, in
/// tables of their own, and rules that send packets of this host there. What is forwarded finds none of them.
///
/// One table for each length of prefix and each choice of protocol and ports, the longest prefixes first. Before each, the main table
/// is asked for longer ones: a route of the host's own that is narrower than a policy goes first, as if all were one table.
struct HostRoutes: Equatable {
    /// The routes of all tables.
    private(set) var routes: Set<Route> = []
    /// All are about different packets or tables.
    private(set) var rules: Set<RoutingRule> = []
    /// More policies by protocol and port than there are tables: their packets are left out.
    private(set) var isCut = false

    private var destinations: Set<IPPrefix> = []
    private var destinationLengths: Set<Int> = []
    private var holes: Set<IPPrefix> = []
    private var holeLengths: Set<Int> = []

    /// Numbers of our rules and tables; free by custom, and found again by the next process.
    static let priorities: Range<UInt32> = 17_300..<17_300 + 2 * mostTables
    static let tables: Range<UInt32> = 17_300..<17_300 + mostTables
    private static let mostTables: UInt32 = 64

    /// The purpose of one table.
    fileprivate struct Group: Hashable {
        var family: AddressFamily
        var length: Int
        var `protocol`: UInt8?
        var sourcePorts, destinationPorts: ClosedRange<UInt16>?
        /// The source of a policy for everything: of what does not come from an address of the policy's, everything
        /// would be too much.
        var source: IPAddress?
    }

    /// One route for each destination of a protecting outbound policy whose sources include an address of ours. Without
    /// one, nothing that this host sends can match the policy. What a peer's outer address would catch of it goes on in the main
    /// table, as IKE and what else the host sends to the peer itself; and so does what a policy lets pass.
    ///
    /// - Parameters:
    ///   - mtu: the device's, in bytes.
    ///   - innerMTUs: largest inner packets by request id, where SAs are known.
    init(
        _ policies: [SecurityPolicy], localAddresses: [IPAddress], peers: Set<IPAddress>, device: UInt32, mtu: UInt32,
        innerMTUs: [UInt32: UInt32] = [:]
    ) {
        var planned: [Group: [IPPrefix: Route]] = [:]
        for policy in policies where policy.direction == .out {
            guard case .protect(let protection) = policy.action else { continue }
            let mtu = min(mtu, protection.requestIDs.compactMap { innerMTUs[$0] }.min() ?? mtu)
            let sources = localAddresses.filter { policy.selector.source.contains($0) }
            guard let first = sources.first else { continue }
            for prefix in policy.selector.destination.prefixes() {
                for source in prefix.length == 0 ? sources : [first] {
                    let group = Group(policy.selector, prefix, source: prefix.length == 0 ? source : nil)
                    guard planned[group]?[prefix] == nil else { continue }
                    planned[group, default: [:]][prefix] = Route(
                        destination: prefix, origin: .sluice, scope: .link, preferredSource: source, mtu: mtu,
                        hops: [Route.Hop(interfaceIndex: device)])
                }
            }
        }
        let passing = Self.passing(policies) + peers.map(IPPrefix.init(host:))
        for (number, group) in planned.keys.sorted(by: Group.goesBefore).enumerated() {
            guard number < Self.mostTables, let prefixes = planned[group] else {
                isCut = true
                return
            }
            add(group, prefixes, passing: passing, number: UInt32(number))
        }
    }

    private mutating func add(_ group: Group, _ prefixes: [IPPrefix: Route], passing: [IPPrefix], number: UInt32) {
        let table = Route.Table(rawValue: Self.tables.lowerBound + number)
        for var route in prefixes.values {
            route.table = table
            routes.insert(route)
            if group.source == nil { destinations.insert(route.destination) }
        }
        if group.source == nil { destinationLengths.insert(group.length) }
        for hole in passing where hole.address.family == group.family && hole.length > group.length {
            guard prefixes[IPPrefix(address: hole.address, length: group.length)] != nil else { continue }
            routes.insert(Route(destination: hole, kind: .throw, table: table, origin: .sluice))
            holes.insert(hole)
            holeLengths.insert(hole.length)
        }
        let priority = Self.priorities.lowerBound + 2 * number
        rules.insert(group.rule(priority, .main, ignoredLength: UInt32(group.length)))
        rules.insert(group.rule(priority + 1, table))
    }

    /// Destinations of what goes the host's own way, whatever it is.
    private static func passing(_ policies: [SecurityPolicy]) -> [IPPrefix] {
        policies.flatMap { policy -> [IPPrefix] in
            guard policy.direction == .out, policy.action == .bypass, policy.selector.protocol == nil,
                policy.selector.isAnyPort
            else { return [] }
            return policy.selector.destination.prefixes()
        }
    }

    /// Whether some of the host's own packets to an address go into a tunnel, wherever they come from.
    func leads(to address: IPAddress) -> Bool {
        func contains(_ prefixes: Set<IPPrefix>, _ lengths: Set<Int>) -> Bool {
            lengths.contains { length in
                length <= address.bitWidth && prefixes.contains(IPPrefix(address: address, length: length))
            }
        }
        return contains(destinations, destinationLengths) && !contains(holes, holeLengths)
    }
}

extension HostRoutes.Group {
    fileprivate init(_ selector: TrafficSelector, _ prefix: IPPrefix, source: IPAddress?) {
        let hasPorts = [IPProtocol.tcp, IPProtocol.udp, IPProtocol.sctp].contains(selector.protocol)
        self.init(
            family: selector.family, length: prefix.length, protocol: selector.protocol,
            sourcePorts: hasPorts ? Self.ports(selector.sourcePorts) : nil,
            destinationPorts: hasPorts ? Self.ports(selector.destinationPorts) : nil, source: source)
    }

    /// The ports as far as the kernel takes them; those at both ends are none that anybody uses.
    private static func ports(_ range: ClosedRange<UInt16>) -> ClosedRange<UInt16>? {
        range == TrafficSelector.anyPort ? nil : range.clamped(to: 1...UInt16.max - 1)
    }

    fileprivate func rule(_ priority: UInt32, _ table: Route.Table, ignoredLength: UInt32? = nil) -> RoutingRule {
        RoutingRule(
            family: family, priority: priority, table: table, ignoredLength: ignoredLength, source: source,
            protocol: self.protocol, sourcePorts: sourcePorts, destinationPorts: destinationPorts)
    }

    /// Longer prefixes first; then any order that stays the same.
    fileprivate static func goesBefore(_ one: Self, _ other: Self) -> Bool {
        if one.length != other.length { return one.length > other.length }
        return one.text < other.text
    }

    private var text: String {
        "\(family.rawValue) \(`protocol`.map(String.init) ?? "~") \(sourcePorts.map { "\($0)" } ?? "~") "
            + "\(destinationPorts.map { "\($0)" } ?? "~") \(source.map(\.description) ?? "")"
    }
}
