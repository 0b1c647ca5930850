import CLinux
import Packets

/// A route (`RTM_NEWROUTE`).
package struct Route: Hashable, Sendable {
    /// The fate of packets that match, `RTN_…`.
    package enum Kind: UInt8, Sendable {
        case unicast = 1
        /// Delivered to this host.
        case local, broadcast, anycast, multicast
        /// Dropped silently, with "host unreachable", with "administratively prohibited".
        case blackhole, unreachable, prohibit
        /// The lookup goes on in the next table.
        case `throw`
    }

    /// A routing table's number.
    package struct Table: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let `default` = Table(rawValue: 253)
        package static let main = Table(rawValue: 254)
        package static let local = Table(rawValue: 255)
    }

    /// The origin of a route, `RTPROT_…`.
    package struct Origin: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let kernel = Origin(rawValue: 2)
        package static let boot = Origin(rawValue: 3)
        package static let `static` = Origin(rawValue: 4)
        /// Routes that Sluice has added: a number that no routing daemon uses, so that they can be told from all others.
        package static let sluice = Origin(rawValue: 173)
    }

    /// One way out. Several make a multipath route.
    package struct Hop: Hashable, Sendable {
        /// 0 when the route names no interface.
        package var interfaceIndex: UInt32
        /// The router; nil: the destination is on the link. It may be IPv6 in an IPv4 route (RFC 8950).
        package var gateway: IPAddress?
        /// Share of the traffic, 1...256.
        package var weight: UInt16
        /// The kernel has found the hop dead or without carrier.
        package var isDown: Bool

        package init(interfaceIndex: UInt32, gateway: IPAddress? = nil, weight: UInt16 = 1, isDown: Bool = false) {
            self.interfaceIndex = interfaceIndex
            self.gateway = gateway
            self.weight = weight
            self.isDown = isDown
        }
    }

    package var destination: IPPrefix
    package var kind: Kind
    package var table: Table
    /// Lower is better.
    package var metric: UInt32
    /// IPv4 TOS that the route is limited to; 0 = all.
    package var typeOfService: UInt8
    package var origin: Origin
    package var scope: InterfaceAddress.Scope
    package var preferredSource: IPAddress?
    /// Path MTU given by the administrator (`mtu N`).
    package var mtu: UInt32?
    /// Empty for blackhole and its kin.
    package var hops: [Hop]
    /// The nexthop object that the hops came from.
    package var nextHopID: UInt32?

    package init(
        destination: IPPrefix, kind: Kind = .unicast, table: Table = .main, metric: UInt32 = 0,
        typeOfService: UInt8 = 0, origin: Origin = .sluice, scope: InterfaceAddress.Scope = .universe,
        preferredSource: IPAddress? = nil, mtu: UInt32? = nil, hops: [Hop] = [], nextHopID: UInt32? = nil
    ) {
        self.destination = destination
        self.kind = kind
        self.table = table
        self.metric = metric
        self.typeOfService = typeOfService
        self.origin = origin
        self.scope = scope
        self.preferredSource = preferredSource
        self.mtu = mtu
        self.hops = hops
        self.nextHopID = nextHopID
    }
}
