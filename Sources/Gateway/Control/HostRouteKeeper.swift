import Logging
import Netlink
import Packets
import Policy

/// Keeps the routes that lead the host's own packets into tunnels in step with its addresses.
struct HostRouteKeeper {
    private let session: NetlinkSession
    private let device: HostTunnel?
    private let logger: Logger
    private var installed: [IPPrefix: Route] = [:]
    /// Of the prefixes that are installed.
    private var lengths: Set<Int> = []
    /// Destinations for which there is a route of somebody else; told once.
    private var refused: Set<IPPrefix> = []

    init(session: NetlinkSession, device: HostTunnel?, logger: Logger) {
        self.session = session
        self.device = device
        self.logger = logger
    }

    mutating func update(
        _ state: NetworkState, policies: [SecurityPolicy], peers: Set<IPAddress>, innerMTUs: [UInt32: UInt32]
    ) {
        guard let device else { return }
        let addresses = state.localAddresses().filter { $0.interfaceIndex != device.interfaceIndex }.map(\.address)
        let planned = HostRoutes.plan(
            policies, localAddresses: addresses, peers: peers,
            others: state.allRoutes.filter { $0.table == .main && $0.origin != .sluice }.map(\.destination),
            device: device.interfaceIndex, mtu: device.mtu, innerMTUs: innerMTUs)
        let taken = Set(
            state.allRoutes.filter { $0.table == .main && $0.origin != .sluice && $0.metric == 0 }.map(\.destination))
        let wanted = Dictionary(uniqueKeysWithValues: planned.map { ($0.destination, $0) })
        for (prefix, route) in installed where wanted[prefix] == nil { remove(route) }
        let before = installed.count
        for route in planned where installed[route.destination] != route {
            if taken.contains(route.destination) { refuse(route.destination) } else { add(route) }
        }
        lengths = Set(installed.keys.map(\.length))
        if installed.count != before {
            logger.info(
                "host routes lead into tunnels", metadata: ["routes": "\(installed.count)", "device": "\(device.name)"])
        }
    }

    /// Whether the host's own packets to an address go into a tunnel.
    func leads(to address: IPAddress) -> Bool {
        lengths.contains { length in
            length <= address.bitWidth && installed[IPPrefix(address: address, length: length)] != nil
        }
    }

    /// Removes all routes again.
    mutating func removeAll() {
        for route in installed.values { remove(route) }
    }

    private mutating func add(_ route: Route) {
        do throws(NetlinkError) {
            try session.replace(route)
            installed[route.destination] = route
        } catch {
            logger.warning(
                "host route not added: packets of this host itself to that network are not protected",
                metadata: ["destination": "\(route.destination)", "error": "\(error)"])
        }
    }

    private mutating func remove(_ route: Route) {
        installed[route.destination] = nil
        // It may have gone with its device or its source address.
        try? session.remove(route)
    }

    private mutating func refuse(_ destination: IPPrefix) {
        guard refused.insert(destination).inserted else { return }
        logger.warning(
            "a route of somebody else keeps packets of this host itself out of the tunnel; remove it if they belong there",
            metadata: ["destination": "\(destination)"])
    }
}
