import Logging
import Netlink
import Packets
import Policy

/// Keeps the routes and rules that lead the host's own packets into tunnels in step with its addresses.
struct HostRouteKeeper {
    private let session: NetlinkSession
    private let device: HostTunnel?
    private let logger: Logger
    private var planned: HostRoutes?
    private var routes: [Key: Route] = [:]
    private var rules: Set<RoutingRule> = []
    private var hasFailed = false
    private var areStale = false
    /// The time at which routes are planned again at the earliest, nanoseconds.
    private var due = Instant.start

    /// The part of the time that planning may take is one of so many: for thousands of policies it takes tens of milliseconds.
    private static let share = 16

    /// There is one route for each.
    private struct Key: Hashable {
        var table: Route.Table
        var destination: IPPrefix

        init(_ route: Route) {
            table = route.table
            destination = route.destination
        }
    }

    init(session: NetlinkSession, device: HostTunnel?, logger: Logger) {
        self.session = session
        self.device = device
        self.logger = logger
        // A process that was killed has left its rules.
        Self.removeAll(session)
    }

    /// Policies, SAs or the network have changed.
    mutating func becomeStale() { areStale = true }

    /// Whether all routes are to be planned anew: not at every change, but so that it takes a small part of the time. With few
    /// policies that is every tick.
    func isDue(at now: Instant) -> Bool { areStale && now >= due }

    /// Notes that routes were planned, which began and ended at these times, nanoseconds.
    mutating func wereUpdated(from start: Instant, to end: Instant) { due = end + (end - start) * Self.share }

    mutating func update(
        _ state: NetworkState, policies: [SecurityPolicy], peers: Set<IPAddress>, innerMTUs: [UInt32: UInt32]
    ) {
        areStale = false
        guard let device else { return }
        let addresses = state.localAddresses().filter { $0.interfaceIndex != device.interfaceIndex }.map(\.address)
        let next = HostRoutes(
            policies, localAddresses: addresses, peers: peers, device: device.interfaceIndex, mtu: device.mtu,
            innerMTUs: innerMTUs)
        let wanted = Dictionary(uniqueKeysWithValues: next.routes.map { (Key($0), $0) })
        // What was refused is tried again: an address may have come back.
        guard wanted != routes || next.rules != rules else { return }
        let before = routes.count
        if next.isCut, planned?.isCut != true {
            logger.warning(
                "more policies by protocol and port than tables for this host's own packets: some of them are dropped",
                metadata: ["tables": "\(HostRoutes.tables.count)"])
        }
        planned = next
        for rule in rules.subtracting(next.rules) { remove(rule) }
        for (key, route) in routes where wanted[key] == nil { remove(route) }
        for (key, route) in wanted where routes[key] != route { add(route) }
        for rule in next.rules.subtracting(rules) { add(rule) }
        if routes.count != before {
            logger.info(
                "host routes lead into tunnels", metadata: ["routes": "\(routes.count)", "device": "\(device.name)"])
        }
    }

    /// Whether the host's own packets to an address go into a tunnel.
    func leads(to address: IPAddress) -> Bool { planned?.leads(to: address) == true }

    /// Removes all of them again.
    mutating func removeAll() {
        for rule in rules { remove(rule) }
        for route in routes.values { remove(route) }
    }

    /// Removes what any process of ours has left.
    static func removeAll(_ session: NetlinkSession) {
        try? session.removeRules(priorities: HostRoutes.priorities, tables: HostRoutes.tables)
    }

    private mutating func add(_ route: Route) {
        do throws(NetlinkError) {
            try session.replace(route)
            routes[Key(route)] = route
            hasFailed = false
        } catch {
            complain("\(route.destination)", error)
        }
    }

    private mutating func add(_ rule: RoutingRule) {
        do throws(NetlinkError) {
            try session.add(rule)
            rules.insert(rule)
        } catch {
            complain("rule \(rule.priority)", error)
        }
    }

    private mutating func remove(_ route: Route) {
        routes[Key(route)] = nil
        // It may have gone with its device or its source address.
        try? session.remove(route)
    }

    private mutating func remove(_ rule: RoutingRule) {
        rules.remove(rule)
        try? session.remove(rule)
    }

    /// Once for each series of failures.
    private mutating func complain(_ destination: String, _ error: NetlinkError) {
        defer { hasFailed = true }
        guard !hasFailed else { return }
        logger.warning(
            "host route not added: packets of this host itself to that network are dropped",
            metadata: ["destination": "\(destination)", "error": "\(error)"])
    }
}

/// The TUN device of the slow path, shared between the thread that moves packets and the routes that lead to it. The
/// interface goes away with the last reference.
final class HostTunnel: Sendable {
    let device: TUNDevice
    /// The size in bytes.
    let mtu: UInt32

    init(_ device: consuming TUNDevice, mtu: UInt32) {
        self.device = device
        self.mtu = mtu
    }

    var name: String { device.name }
    var interfaceIndex: UInt32 { device.interfaceIndex }
}
